# Short names for the commands of this project; each is also an ordinary command line.

python := env("PYO3_PYTHON", justfile_directory() / "tests/.venv/bin/python")

# List these commands.
default:
    @just --list

# Format, lint and type-check everything.
check:
    cargo fmt --check
    cargo clippy --workspace --all-targets -- -D warnings
    {{ python }} -m ruff check
    {{ python }} -m ruff format --check

# Put the sources into their canonical form.
format:
    cargo fmt
    {{ python }} -m ruff check --fix
    {{ python }} -m ruff format

# Run what needs no kernel process.
unit *arguments:
    cargo test --workspace {{ arguments }}

# Run everything, as CI does.
test *arguments:
    ./tests/run.sh {{ arguments }}

# Run the public test suites of the neighbours on the kernel.
conform *arguments:
    {{ python }} tests/conformance/run.py {{ arguments }}

# Measure the kernel beside its peers.
bench *arguments:
    {{ python }} benches/kernels.py {{ arguments }}

# Measure the magics beside tools that tell similar things.
bench-magics *arguments:
    {{ python }} benches/magics.py {{ arguments }}

# Build the panel of JupyterLab, whose result is committed.
panel:
    cd lab && npm ci --ignore-scripts && npm run build

# Build and install the kernel.
install *arguments:
    ./install.sh {{ arguments }}

# Run the first tutorial and write it as HTML.
demo:
    ./install.sh --demo

# Build the documentation as a site.
site:
    {{ python }} docs/site/build.py

# Make the pictures of the README anew.
screenshots:
    {{ python }} docs/screenshots.py

# Show the API of the crates.
docs:
    cargo doc --workspace --no-deps --document-private-items --open
