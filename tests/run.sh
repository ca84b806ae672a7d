#!/usr/bin/env bash
# The test command of this project: everything that must hold, from the format of the sources to JupyterLab in a browser.
#
#   tests/run.sh                 all of it, from a clean checkout, in less than half an hour on two cores
#   tests/run.sh --quick         without the slow tests
#   tests/run.sh -k EXPRESSION   only the tests of the kernel that match; passed to pytest
#
# It needs Rust and Python, and makes the rest: a virtual environment in tests/.venv, the Debian packages that are
# missing, the kernel in release mode, a kernelspec in tests/.work. Its last line is `N passed, N failed`.

set -uo pipefail
script=$(realpath "${BASH_SOURCE[0]}")
cd "$(dirname "$script")/.." || exit 1

venv=tests/.venv
work=tests/.work
passed=0
failed=0
selection=()

main() {
  parse "$@"
  mkdir -p "$work"
  ensure_packages
  ensure_venv
  export PYO3_PYTHON=$PWD/$venv/bin/python
  step "format" cargo fmt --all --check
  step "ruff" "$venv/bin/ruff" check .
  step "ruff format" "$venv/bin/ruff" format --check .
  step "clippy" cargo clippy --workspace --all-targets -- -D warnings
  cargo_tests
  step "rust cells" rust_cells
  if step "build" cargo build --release -p diaphane; then
    kernel_tests
  fi
  echo "$passed passed, $failed failed"
  ((failed == 0))
}

parse() {
  while (($#)); do
    case $1 in
      --quick) selection+=(-m "not slow") ;;
      -k)
        (($# > 1)) || fail "-k needs an expression"
        selection+=(-k "$2")
        shift
        ;;
      -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$script" && exit ;;
      *) fail "unknown option $1; there are --quick and -k EXPRESSION" ;;
    esac
    shift
  done
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

# The libraries that the build links and the programs that the tests drive, installed where they are missing.
ensure_packages() {
  local missing=()
  command -v g++ >/dev/null || missing+=(g++)
  command -v chromium >/dev/null || missing+=(chromium)
  command -v strace >/dev/null || missing+=(strace)
  command -v squashfuse >/dev/null || missing+=(squashfuse squashfs-tools fuse3)
  [[ -e /usr/include/sodium.h ]] || missing+=(libsodium-dev)
  [[ -n $(shared_python) ]] || missing+=(libpython3-dev)
  python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
  ((${#missing[@]})) || return 0
  command -v apt-get >/dev/null || fail "please install ${missing[*]}: this machine has no apt-get"
  local root=()
  ((EUID == 0)) || root=(sudo)
  echo "--- installing ${missing[*]}"
  "${root[@]}" apt-get update -qq || fail "apt-get cannot reach its servers; install ${missing[*]} by other means"
  DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" ||
    fail "apt-get could not install ${missing[*]}"
}

# The first Python at hand that the kernel can embed: CPython 3.11 to 3.13 with a shared library.
shared_python() {
  local candidate path
  for candidate in "${DIAPHANE_PYTHON:-}" "${VIRTUAL_ENV:+$VIRTUAL_ENV/bin/python}" python3 python3.11 python3.12 python3.13; do
    path=$(command -v "${candidate:-/nowhere}") || continue
    "$path" - <<'END' 2>/dev/null && echo "$path" && return
import os, platform, sys, sysconfig
name, folder = (sysconfig.get_config_var(x) for x in ("INSTSONAME", "LIBDIR"))
library = os.path.join(folder, name)
multiarch = os.path.join(folder, sysconfig.get_config_var("MULTIARCH") or "", name)
shared = sysconfig.get_config_var("Py_ENABLE_SHARED") and (os.path.exists(library) or os.path.exists(multiarch))
sys.exit(not (platform.python_implementation() == "CPython" and (3, 11) <= sys.version_info < (3, 14) and shared))
END
  done
}

# tests/.venv with the pinned requirements, made anew when they or the Python change.
ensure_venv() {
  local python stamp
  python=$(shared_python)
  [[ -n $python ]] || fail "no CPython 3.11, 3.12 or 3.13 with a shared library; name one by DIAPHANE_PYTHON"
  stamp=$("$python" -c 'import sys; print(sys.base_prefix, sys.version)')$(cat tests/requirements.txt)
  [[ -f $venv/stamp && $(<"$venv/stamp") == "$stamp" ]] && return
  echo "--- making $venv of $python"
  rm -rf "$venv"
  "$python" -m venv "$venv" || fail "$python cannot make a virtual environment"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt ||
    fail "pip could not install tests/requirements.txt"
  printf %s "$stamp" >"$venv/stamp"
}

# The compiler of Rust cells is a workspace of its own, and takes minutes where it was never built.
rust_cells() {
  local manifest=magics/rust/sidecar/Cargo.toml
  cargo fmt --check --manifest-path $manifest &&
    timeout 1800 cargo test --release --locked --quiet --manifest-path $manifest &&
    timeout 1800 cargo build --release --locked --quiet --manifest-path $manifest &&
    mkdir -p target/release && cp "${manifest%/*}/target/release/diaphane-rust" target/release/
}

# The unit tests; what each of their binaries counts is added up.
cargo_tests() {
  local log=$work/cargo.log
  echo "--- cargo test"
  cargo test --workspace --no-fail-fast 2>&1 | tee "$log"
  local status=${PIPESTATUS[0]} ok bad
  read -r ok bad < <(awk '/^test result:/ { ok += $4; bad += $6 } END { print ok + 0, bad + 0 }' "$log")
  # What does not compile or crashes is a failure too, although nothing was counted.
  ((status == 0 || bad > 0)) || bad=1
  ((passed += ok, failed += bad))
}

# The tests of the built kernel, through the kernelspec that it installs.
kernel_tests() {
  local results=$work/pytest.xml
  step "install" target/release/diaphane install --prefix "$work" --python "$PWD/$venv/bin/python" || return
  step "site" env JUPYTER_PATH="$PWD/$work/share/jupyter" "$venv/bin/python" docs/site/build.py
  rm -f "$results"
  echo "--- pytest"
  JUPYTER_PATH=$PWD/$work/share/jupyter "$venv/bin/python" -m pytest -c tests/pytest.ini --rootdir tests \
    -q --junitxml="$results" "${selection[@]}" tests
  local ok bad
  read -r ok bad < <("$venv/bin/python" tests/support/count.py "$results")
  ((passed += ok, failed += bad))
}

fail() {
  echo "tests/run.sh: $1" >&2
  exit 1
}

main "$@"
