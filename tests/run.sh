#!/usr/bin/env bash
# The test command of this project: everything that must hold, from the format of the sources to JupyterLab in a browser.
#
#   tests/run.sh                 all of it, from a clean checkout, in half an hour on two cores
#   tests/run.sh --python 3.14   the same with that Python, 3.11 to 3.15, found or made, beside the default one
#   tests/run.sh --door hosted   the kernel as a module of a plain python; without it, the program that embeds Python
#   tests/run.sh --core          what a new Python could break: the kernel, the protocol, every magic once
#   tests/run.sh --quick         without the slow tests
#   tests/run.sh --again         what fails runs once more, alone; where it passes then, that is said and it counts as passed
#   tests/run.sh --processes 2   pytest in so many processes, in place of three
#   tests/run.sh -k EXPRESSION   only the tests of the kernel that match; passed to pytest
#
# It needs Rust and Python, and makes the rest: a virtual environment in tests/.venv, the Debian packages that are
# missing, the kernel in release mode, a kernelspec in tests/.work (with --python 3.14, tests/.venv-3.14 and so on).
# Its last line is `N passed, N failed`. It exits with 3 where the wanted Python cannot be had.

set -uo pipefail
script=$(realpath "${BASH_SOURCE[0]}")
cd "$(dirname "$script")/.." || exit 1

source tests/support/pythons.sh
source tests/support/hosted.sh

sidecar=magics/rust/sidecar
passed=0
failed=0
core=no
again=no
processes=3
door=embedded
selection=(tests)

main() {
  parse "$@"
  name_folders
  [[ $door == embedded ]] || work+=-hosted
  mkdir -p "$work"
  ensure_packages
  go_to_python "$@"
  ensure_venv
  seed_target
  export PYO3_PYTHON=$PWD/$venv/bin/python
  if [[ $core == no ]]; then
    build_ahead &
    source_checks
  fi
  # By which door Python comes is nothing to the unit tests.
  [[ $door == hosted && $core == no ]] || cargo_tests
  step "rust cells" rust_cells
  if step "build" build; then
    kernel_tests
  fi
  echo "$passed passed, $failed failed"
  ((failed == 0))
}

parse() {
  while (($#)); do
    case $1 in
      --python)
        (($# > 1)) || fail "--python needs a version, as 3.14"
        wanted=$2
        shift
        ;;
      --door)
        [[ ${2:-} == embedded || ${2:-} == hosted ]] || fail "--door needs embedded or hosted"
        door=$2
        shift
        ;;
      --core)
        core=yes
        selection=(tests/protocol tests/startup tests/crash tests/magics tests/guest tests/library -m "core or not slow" "${selection[@]:1}")
        ;;
      --again) again=yes ;;
      --processes)
        [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || fail "--processes needs a number"
        processes=$2
        shift
        ;;
      --quick) selection+=(-m "not slow") ;;
      -k)
        (($# > 1)) || fail "-k needs an expression"
        selection+=(-k "$2")
        shift
        ;;
      -h | --help) sed -n '2,16s/^# \{0,1\}//p' "$script" && exit ;;
      *) fail "unknown option $1; there are --python VERSION, --door NAME, --core, --quick, --again, --processes N and -k EXPRESSION" ;;
    esac
    shift
  done
}

# What the checks of the sources and the unit tests do not need, beside them: each has stretches that keep one CPU busy.
# What fails here is told by the steps, which do it again.
build_ahead() {
  { compiler test --no-run && compiler build && build; } >"$work/build-ahead.log" 2>&1
}

# What does not depend on the Python.
source_checks() {
  step "format" cargo fmt --all --check
  step "ruff" "$venv/bin/ruff" check .
  step "ruff format" "$venv/bin/ruff" format --check .
  step "clippy" cargo clippy --workspace --all-targets -- -D warnings
  step "panel of JupyterLab" lab/check.sh tests/.work/lab
}

# Runs one check; what it prints is shown, and it counts as one test.
step() {
  echo "--- $1"
  if "${@:2}"; then
    ((passed += 1))
  else
    ((failed += 1))
    echo "--- $1 failed" >&2
    return 1
  fi
}

# Each program that a test runs, and the Debian package that has it.
declare -A programs=(
  [bash]=bash [cc]=gcc [env]=coreutils [g++]=g++ [gcc]=gcc [nm]=binutils [readelf]=binutils [sh]=dash
  [sleep]=coreutils [setsid]=util-linux [unshare]=util-linux [mount]=mount [umount]=mount
  [strace]=strace [mksquashfs]=squashfs-tools [squashfuse]=squashfuse [fusermount3]=fuse3
)

# The libraries that the build links and the programs that the tests drive, installed where they are missing.
ensure_packages() {
  local missing
  find_missing
  ((${#missing[@]})) || return 0
  # Another run may be installing them.
  mkdir -p tests/.work
  exec 9>tests/.work/packages.lock
  flock 9
  find_missing
  ((${#missing[@]} == 0)) || install_packages
  exec 9>&-
}

find_missing() {
  local program
  missing=()
  for program in "${!programs[@]}"; do
    command -v "$program" >/dev/null || missing+=("${programs[$program]}")
  done
  [[ $core == yes ]] || command -v chromium >/dev/null || missing+=(chromium)
  [[ $core == yes ]] || command -v npm >/dev/null || missing+=(npm)
  [[ $core == yes ]] || command -v mpiexec >/dev/null || missing+=(openmpi-bin)
  [[ -e /usr/include/sodium.h ]] || missing+=(libsodium-dev)
  [[ -n $wanted || -n $(shared_python) ]] || missing+=(libpython3-dev)
  [[ -n $wanted ]] || python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
}

install_packages() {
  command -v apt-get >/dev/null || fail "please install ${missing[*]}: this machine has no apt-get"
  local root=()
  ((EUID == 0)) || root=(sudo)
  echo "--- installing ${missing[*]}"
  "${root[@]}" apt-get update -qq || fail "apt-get cannot reach its servers; install ${missing[*]} by other means"
  DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" ||
    fail "apt-get could not install ${missing[*]}"
}

# Goes on in Debian testing where the wanted Python is not on this machine.
go_to_python() {
  [[ -z $wanted || -n $(shared_python) ]] && return
  if [[ -z ${DIAPHANE_DEBIAN_ROOT:-} ]] && is_in_debian_root; then
    # It knows no Python, and what is compiled here runs there, but not the other way round.
    compiler build || fail "the compiler of Rust cells does not build"
    exec tests/support/debian_root.sh "$script" "$@"
  fi
  echo "Python $wanted cannot be had on this machine, and nothing was tested with it"
  exit 3
}

# The compiler of Rust cells is a workspace of its own, and takes minutes where it was never built.
rust_cells() {
  if [[ $core == no ]]; then
    cargo fmt --check --manifest-path $sidecar/Cargo.toml && compiler test || return
  fi
  [[ -n ${DIAPHANE_DEBIAN_ROOT:-} ]] || compiler build || return
  mkdir -p "$target/release" && cp $sidecar/target/release/diaphane-rust "$target/release/"
}

compiler() {
  timeout 2700 cargo "$1" --release --locked --quiet --manifest-path $sidecar/Cargo.toml --target-dir $sidecar/target "${@:2}"
}

# The unit tests; what each of their binaries counts is added up.
cargo_tests() {
  local log=$work/cargo.log what=(--workspace)
  # What knows CPython's structures, in the mode in which the kernel is built anyway.
  [[ $core == no ]] || what=(--release -p diaphane-cpython)
  echo "--- cargo test"
  # Tests are run when nothing is built any more.
  cargo test "${what[@]}" --no-run && wait
  cargo test "${what[@]}" --no-fail-fast 2>&1 | tee "$log"
  local status=${PIPESTATUS[0]} ok bad
  read -r ok bad < <(awk '/^test result:/ { ok += $4; bad += $6 } END { print ok + 0, bad + 0 }' "$log")
  # What does not compile or crashes is a failure too, although nothing was counted.
  ((status == 0 || bad > 0)) || bad=1
  ((passed += ok, failed += bad))
}

build() {
  if [[ $door == hosted ]]; then
    cargo build --release -p diaphane-extension
  else
    cargo build --release -p diaphane
  fi
}

# Puts the built kernel where the tests find it.
install_kernel() {
  if [[ $door == hosted ]]; then
    make_hosted "$PWD/$venv-hosted" "$PWD/$venv/bin/python" "$target/release" "$work"
  else
    "$target/release/diaphane" install --prefix "$work" --python "$PWD/$venv/bin/python"
  fi
}

# The tests of the built kernel, through the kernelspec that it installs.
kernel_tests() {
  local results=$work/pytest.xml alone=$work/pytest-alone.xml
  step "install" install_kernel || return
  [[ $core == yes ]] || step "site" at_home "$venv/bin/python" docs/site/build.py
  # Tests look at processes of the newest Pythons; to make them takes longer than a test may.
  [[ $core == yes || -n ${DIAPHANE_DEBIAN_ROOT:-} ]] || tests/support/debian_root.sh true ||
    echo "CPython 3.14 and 3.15 cannot be had, and tests that look at their processes are skipped"
  rm -rf "$results" "$alone" "$work/pytest_cache"
  echo "--- pytest"
  # They wait as long as they compute, so three processes share two CPUs. Where one dies, the others would wait for ever.
  if ! tests "$results" --numprocesses "$processes" --dist loadfile --max-worker-restart 0 && [[ $again == yes ]]; then
    echo "--- what failed, alone"
    tests "$alone" --last-failed --last-failed-no-failures none
  fi
  local ok bad
  read -r ok bad < <("$venv/bin/python" tests/support/count.py "$results" "$alone")
  ((passed += ok, failed += bad))
}

# Runs what was selected, into a file of results.
tests() {
  at_home "$venv/bin/python" -m pytest -c tests/pytest.ini --rootdir tests -q --junitxml="$1" \
    -o cache_dir="$PWD/$work/pytest_cache" "${@:2}" "${selection[@]}"
}

# Runs a program that knows the kernel under test, with a home that is not the user's.
at_home() {
  JUPYTER_PATH=$PWD/$work/share/jupyter DIAPHANE_RUST_CACHE=$PWD/$work/rust \
    "$venv/bin/python" tests/support/homes.py "$@"
}

fail() {
  echo "tests/run.sh: $1" >&2
  exit 1
}

main "$@"
