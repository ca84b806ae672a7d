#!/usr/bin/env bash
# Builds diaphane for one Python, installs its kernelspec, and runs a cell through it.
#
# It may be run again at any time; what is already there is kept. Without --hosted and --wheel it makes no package: the
# kernel runs the Python that is chosen here, and a Python of another minor version, or another installation, needs a run
# of its own.

set -euo pipefail

usage() {
  cat <<'END'
Usage: ./install.sh [--python PYTHON] [--user | --sys-prefix | --prefix PREFIX] [--name NAME]
                    [--without-curve] [--without-rust-cells] [--demo] [--uninstall]
       ./install.sh --hosted [--python PYTHON] [the same options]
       ./install.sh --wheel [--python VERSION | --all] [--without-rust-cells]

  --python PYTHON   the Python that the kernel runs (default: the active virtual environment's, else that of .venv,
                    which is made here with JupyterLab and the packages of the tutorials)
  --sys-prefix      install the kernelspec into that Python's environment (default where it is one)
  --user            install it for the user (default where it is none)
  --prefix PREFIX   install it into PREFIX/share/jupyter
  --name NAME       the kernel's name (default: diaphane)
  --without-curve   build without CurveZMQ encryption, and so without libsodium
  --without-rust-cells
                    build without the compiler of %%rust cells, which takes as long as all the rest
  --demo            also run the first tutorial through the kernel, and write it to notebooks/out as HTML
  --uninstall       remove the kernelspec
  --hosted          build a package for this machine, and install it into that Python's environment by pip: the kernel
                    then runs in that Python itself, which needs no shared library
  --wheel           write packages for every Linux on x86-64 to the folder dist, for Python VERSION (as 3.13; default:
                    that of python3) or with --all for 3.11 to 3.15, and one with the compiler of Rust cells
END
}

main() {
  parse "$@"
  cd "$(dirname "${BASH_SOURCE[0]}")"
  if [[ $hosted == yes ]]; then
    # What is done otherwise then, in functions of the same names.
    source kernel/wheel/hosted.sh
  fi
  if [[ $action != install ]]; then
    "$action"
    return
  fi
  count_steps
  step "The Python and its packages"
  ensure_toolchain
  choose_python
  ensure_embeddable
  ensure_packages
  step "Build the kernel for $python"
  build
  step "Install it and run a cell through it"
  install_kernel
  verify
  if [[ $demo == yes ]]; then
    step "Run the first tutorial"
    run_demo
  fi
  if [[ $rust_cells == yes ]]; then
    say_what_next "You can start now, while the compiler of Rust cells (%%rust) is built"
    step "Build the compiler of Rust cells"
    build_compiler
  fi
  end_step
  say_what_next "Next"
}

# What is done, how long it took, and what it takes on the disk ------------------------------------------------------

count_steps() {
  steps=3 at=0 began=0
  [[ $demo == no ]] || ((steps += 1))
  [[ $rust_cells == no ]] || ((steps += 1))
}

step() {
  end_step
  ((at += 1))
  began=$SECONDS
  say "$at of $steps  $1"
}

end_step() {
  ((at == 0)) || printf '        done in %s; this folder takes %s\n' "$(took "$began")" "$(du -sh . | cut -f1)"
}

took() {
  local seconds=$((SECONDS - $1))
  if ((seconds < 60)); then
    printf '%d s' "$seconds"
  else
    printf '%d min %d s' $((seconds / 60)) $((seconds % 60))
  fi
}

compile() { watch_build cargo build --release --locked "$@"; }

# Runs cargo and shows what it has done so far in one line, and all that it said where it fails.
watch_build() {
  local log crates=0 since=$SECONDS line
  mkdir -p "${CARGO_TARGET_DIR:-target}"
  log=${CARGO_TARGET_DIR:-target}/install.log
  if ! "$@" 2>&1 | tee "$log" | while IFS= read -r line; do
    [[ $line == *Compiling* ]] && ((++crates)) && [[ -t 1 ]] &&
      printf '\r        %d crates in %s ' "$crates" "$(took "$since")"
    true
  done; then
    printf '\n'
    grep -v -E '^ +(Compiling|Downloaded|Downloading)' "$log" >&2 || true
    fail "cargo could not build it; all that it said is in $log"
  fi
  [[ ! -t 1 ]] || printf '\r\e[K'
}

parse() {
  action=install python="" place=() name=diaphane curve=yes rust_cells=yes demo=no lists=old
  hosted=no versions=one words=" $* "
  while (($#)); do
    case $1 in
      --python | --prefix | --name)
        (($# > 1)) || fail "$1 needs a value; see ./install.sh --help"
        take "$1" "$2"
        shift
        ;;
      --user | --sys-prefix) place=("$1") ;;
      --without-curve) curve=no ;;
      --without-rust-cells) rust_cells=no ;;
      --demo) demo=yes ;;
      --hosted) hosted=yes ;;
      --wheel) action=write_wheels ;;
      --all) versions=all ;;
      --uninstall) action=uninstall ;;
      -h | --help) usage && exit ;;
      *) fail "unknown option $1; see ./install.sh --help" ;;
    esac
    shift
  done
}

take() {
  case $1 in
    --python)
      # A package is for a version, of which no Python need be here.
      [[ $words == *" --wheel "* && $2 =~ ^3\.[0-9]+t?$ ]] && python=$2 || python=$(absolute "$2")
      ;;
    --prefix) place=(--prefix "$(realpath -ms -- "$2")") ;;
    --name) name=$2 ;;
  esac
}

# The path of a program that is named by a path, or found on PATH. Links stay: a virtual environment's Python is one.
absolute() {
  local path
  path=$(command -v -- "$1") || fail "there is no Python at $1; choose another one by --python PATH"
  realpath -s -- "$path"
}

say() {
  local bold="" plain=""
  if [[ -t 1 ]]; then
    bold=$'\033[1m' plain=$'\033[0m'
  fi
  printf '%s%s%s\n' "$bold" "$*" "$plain"
}

fail() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}

# What the machine must have ---------------------------------------------------------------------------------------

ensure_toolchain() {
  local missing=()
  command -v g++ >/dev/null || missing+=(g++)
  if [[ $curve == yes ]] && ! has_archive libsodium.a; then
    missing+=(libsodium-dev)
  fi
  apt_install "${missing[@]}"
  local wanted found
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  command -v cargo >/dev/null || fail "Rust is missing; get it from https://rustup.rs, then run ./install.sh again"
  found=$(cargo --version | cut -d' ' -f2) || fail "cargo does not work; see its message above"
  is_at_least "$wanted" "$found" || fail "Rust $found is too old; get $wanted or newer from https://rustup.rs"
}

# The compiler answers with the bare name where it knows no such file.
has_archive() {
  command -v cc >/dev/null && [[ $(cc -print-file-name="$1") == */* ]]
}

is_at_least() {
  [[ $(printf '%s\n' "$1" "$2" | sort -V | head -n 1) == "$1" ]]
}

apt_install() {
  (($#)) || return 0
  local as_root=(env DEBIAN_FRONTEND=noninteractive) remedy="as root, run: apt-get install $*"
  command -v apt-get >/dev/null || fail "this needs what Debian calls: $*; install it and run ./install.sh again"
  if ((EUID != 0)); then
    command -v sudo >/dev/null || fail "this needs $*; $remedy"
    as_root=(sudo "${as_root[@]}")
  fi
  say "Installing $*"
  if [[ $lists == old ]]; then
    "${as_root[@]}" apt-get update --quiet=2 || fail "the package lists cannot be read; $remedy"
    lists=new
  fi
  "${as_root[@]}" apt-get install --quiet=2 --no-install-recommends "$@" >/dev/null || fail "that did not work; $remedy"
}

# Which Python -----------------------------------------------------------------------------------------------------

choose_python() {
  if [[ -z $python && -n ${VIRTUAL_ENV:-} ]]; then
    python=$VIRTUAL_ENV/bin/python
  elif [[ -z $python ]]; then
    .venv/bin/python -c '' 2>/dev/null || make_environment
    python=$PWD/.venv/bin/python
  fi
  is_supported "$python" || fail "$python is not CPython 3.11 to 3.15; choose another one by --python PATH"
  # A version manager's script is not the program that is to be embedded.
  python=$(fact executable)
}

is_supported() { [[ -n $(python=$1 fact supported 2>/dev/null) ]]; }

make_environment() {
  local base
  base=$(find_base) || apt_install python3 python3-venv
  base=$(find_base) || fail "there is no CPython 3.11 to 3.15 on PATH; name one by --python PATH"
  "$base" -c 'import ensurepip' 2>/dev/null || apt_install "python$("$base" kernel/src/python/facts.py minor)-venv"
  say "Making the environment .venv with $base"
  "$base" -m venv --clear .venv
}

# A Python that can be embedded is preferred to one that cannot yet.
find_base() {
  local candidate suitable=()
  for candidate in python3 python3.{15..11}; do
    candidate=$(command -v "$candidate") || continue
    is_supported "$candidate" || continue
    suitable+=("$candidate")
    if python=$candidate is_embeddable; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  ((${#suitable[@]})) && printf '%s\n' "${suitable[0]}"
}

# One fact about the chosen Python, or nothing; the installed binary asks the same file.
fact() { "$python" kernel/src/python/facts.py "$1"; }

# Running needs libpython3.X.so.1.0, linking needs libpython3.X.so beside it (Debian has it in another package).
is_embeddable() {
  local library
  library=$(fact libpython)
  [[ -n $library && -e ${library%.so*}.so ]]
}

ensure_embeddable() {
  is_embeddable && return
  local remedy
  remedy=$(fact libpython_remedy)
  if [[ $remedy == *apt-get* ]]; then
    apt_install "${remedy##* }"
  fi
  is_embeddable || fail "$python has no shared libpython, which diaphane embeds; $remedy"
}

ensure_packages() {
  if [[ $python == "$PWD"/.venv/* ]]; then
    cmp --quiet requirements.txt .venv/installed.txt && return
    say "Installing JupyterLab and the packages of the tutorials into .venv"
    "$python" -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
    cp requirements.txt .venv/installed.txt
    return
  fi
  local wanted=(comm ipython jupyter-client matplotlib-inline) missing
  if [[ $demo == yes ]]; then
    wanted+=(nbconvert numpy)
  fi
  mapfile -t missing < <(absent_packages "${wanted[@]}")
  ((${#missing[@]})) || return 0
  local lacks="$python lacks ${missing[*]}"
  # Nobody's system Python is changed.
  [[ -n $(fact environment) ]] || fail "$lacks; name a virtual environment's Python, or none to get one here"
  "$python" -m pip --version >/dev/null 2>&1 || fail "$lacks, and pip; install them with the tool that made it"
  say "Installing ${missing[*]} into $(fact prefix)"
  "$python" -m pip install --quiet --disable-pip-version-check --constraint requirements.txt "${missing[@]}"
}

absent_packages() {
  "$python" - "$@" <<'END'
import sys
from importlib import metadata

for name in sys.argv[1:]:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        print(name)
END
}

# Build, install, verify -------------------------------------------------------------------------------------------

binary() { printf '%s\n' "${CARGO_TARGET_DIR:-target}/release/diaphane"; }

build() {
  local variables=(PYO3_PYTHON="$python")
  if [[ $curve == no ]]; then
    # In the place of what .cargo/config.toml says: libzmq's threads keep their names.
    variables+=(CXXFLAGS=-DZMQ_HAVE_PTHREAD_SETNAME_2=1)
  fi
  export "${variables[@]}"
  compile --package diaphane
  # A kernel without it is installed first; and one that is not of these sources is none.
  rm -f "$(compiler)"
}

# The compiler of Rust cells, beside the kernel; it takes longer than all the rest, and the kernel runs without it.
compiler() { printf '%s\n' "$(dirname "$(binary)")/diaphane-rust"; }

build_compiler() {
  compile --manifest-path magics/rust/sidecar/Cargo.toml --target-dir magics/rust/sidecar/target
  cp magics/rust/sidecar/target/release/diaphane-rust "$(compiler)"
  # A kernel that runs already finds it from now on.
  write_kernelspec >/dev/null
}

install_kernel() {
  local report
  report=$(write_kernelspec)
  printf '%s\n' "$report"
  title=$(sed -n 's/^Installed "\(.*\)" as .*/\1/p' <<<"$report")
  kernelspec=$(sed -n 's/^ *kernelspec *//p' <<<"$report")
  # Whatever else has this name, the next steps look here first.
  export JUPYTER_PATH=${kernelspec%/kernels/*}${JUPYTER_PATH:+:$JUPYTER_PATH}
}

write_kernelspec() { "$(binary)" install --python "$python" --name "$name" "${place[@]}"; }

verify() {
  "$python" - "$name" "$python" <<'END' || fail "the kernel was installed, but a cell did not run through it"
import sys

from jupyter_client.manager import start_new_kernel

name, python = sys.argv[1:]
manager, client = start_new_kernel(kernel_name=name)
printed = []
try:
    reply = client.execute_interactive(
        "import sys; print(sys.executable)", timeout=60, output_hook=lambda message: printed.append(message["content"])
    )
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
text = "".join(content.get("text", "") for content in printed)
if reply["content"]["status"] != "ok" or text.strip() != python:
    sys.exit(f"the cell should print {python}, and this came: {printed}")
print("A cell ran through the kernel and printed its Python's path.")
END
}

run_demo() {
  "$python" -m nbconvert --log-level=WARN --to html --execute --ExecutePreprocessor.kernel_name="$name" \
    --output-dir notebooks/out notebooks/en/01-*.ipynb
  printf 'Its outputs are in %s\n' notebooks/out/01-*.html
}

# Packages for other machines --------------------------------------------------------------------------------------

write_wheels() {
  [[ $curve == yes ]] || fail "packages for other machines have CURVE; leave out --without-curve"
  [[ $(uname -m) == x86_64 ]] || fail "packages for other machines are built on x86-64, and this is $(uname -m)"
  local wanted=("$python")
  if [[ $versions == all ]]; then
    wanted=(3.{11..15})
  elif [[ $python != 3.* ]]; then
    python=${python:-$(absolute python3)}
    is_supported "$python" || fail "$python is not CPython 3.11 to 3.15; name a version by --python 3.X"
    wanted=("$(fact minor)")
  fi
  steps=$((1 + ${#wanted[@]})) at=0 began=0
  [[ $rust_cells == no ]] || ((steps += 1))
  step "The tools"
  ensure_toolchain
  python3 -c 'import ensurepip' 2>/dev/null || apt_install python3-venv
  kernel/wheel/build.sh tools
  for python in "${wanted[@]}"; do
    step "Build for Python $python"
    watch_build kernel/wheel/build.sh everywhere diaphane dist "$python"
  done
  if [[ $rust_cells == yes ]]; then
    step "Build the compiler of Rust cells"
    watch_build kernel/wheel/build.sh everywhere diaphane-rust dist
  fi
  end_step
  say "In dist are"
  du -h dist/*.whl
}

say_what_next() {
  local folder client
  folder=$(dirname "$python")
  client=$(compgen -G "$folder/jupyter-[lc]*" || true)
  say "$1"
  if [[ ${place[0]:-} == --prefix || -z $client ]]; then
    printf '  export JUPYTER_PATH=%q   # so that any Jupyter finds the kernel\n' "${kernelspec%/kernels/*}"
  fi
  if [[ $client == *jupyter-lab* ]]; then
    printf '  %q lab notebooks   # open en/00-why-is-my-cell-slow.ipynb, or fr for French\n' "$folder/jupyter"
    printf '                      # in notebooks of your own, choose "%s"\n' "$title"
  fi
  if [[ $client == *jupyter-console* ]]; then
    printf '  %q console --kernel %s\n' "$folder/jupyter" "$name"
  fi
  printf '  and in a cell: %%loaded_libs, %%threads, %%buffer_addr\n'
}

uninstall() {
  [[ -x $(binary) ]] || fail "there is no built diaphane here; remove it by: jupyter kernelspec remove $name"
  # Without one named, the binary knows the Python that it was built for.
  "$(binary)" uninstall ${python:+--python "$python"} --name "$name" "${place[@]}"
}

main "$@"
