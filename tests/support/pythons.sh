# Which Python the tests run with, and where it is; sourced by tests/run.sh, which has `fail`.
#
# A Python that this machine lacks is looked for in Debian testing (debian_root.sh), and the tests run there.

# The version that was asked for, as 3.14; empty where any will do.
wanted=""

# A version beside the others has folders of its own, so that they don't rebuild each other.
name_folders() {
  venv=tests/.venv${wanted:+-$wanted}
  work=tests/.work${wanted:+-$wanted}
  target=$PWD/target${wanted:+/$wanted}
  export CARGO_TARGET_DIR=$target
}

# What depends on no Python need not be compiled again; what was compiled on this machine works in the Debian root too.
seed_target() {
  [[ -z $wanted || -d $target/release || ! -d target/release ]] && return
  mkdir -p "$target" && cp -a target/release "$target/"
}

# The first Python at hand that the kernel can embed.
shared_python() {
  local candidate path candidates
  if [[ -n $wanted ]]; then
    candidates=("python$wanted" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$wanted".*/bin/python)
  else
    candidates=("${DIAPHANE_PYTHON:-}" "${VIRTUAL_ENV:+$VIRTUAL_ENV/bin/python}" python3 python3.{11..15})
  fi
  for candidate in "${candidates[@]}"; do
    path=$(command -v "${candidate:-/nowhere}") || continue
    is_suitable "$path" && echo "$path" && return
  done
}

is_suitable() {
  local facts=kernel/src/python/facts.py
  [[ -n $("$1" $facts supported) && -n $("$1" $facts libpython) ]] 2>/dev/null &&
    [[ -z $wanted || $("$1" $facts minor) == "$wanted" ]]
}

# Whether the wanted Python is in Debian testing; why not is said.
is_in_debian_root() {
  tests/support/debian_root.sh bash -c 'command -v "$0"' "python$wanted" >/dev/null
}

# The virtual environment with the pinned requirements, made anew when they or the Python change.
ensure_venv() {
  local python stamp
  python=$(shared_python)
  [[ -n $python ]] || fail "no CPython 3.11 to 3.15 with a shared library; name one by DIAPHANE_PYTHON or --python"
  stamp=$("$python" -c 'import sys; print(sys.base_prefix, sys.version)')$(cat tests/requirements.txt)
  [[ -f $venv/stamp && $(<"$venv/stamp") == "$stamp" ]] && return
  echo "--- making $venv of $python"
  rm -rf "$venv"
  "$python" -m venv "$venv" || fail "$python cannot make a virtual environment"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt ||
    fail "pip could not install tests/requirements.txt"
  printf %s "$stamp" >"$venv/stamp"
}
