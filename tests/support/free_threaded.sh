#!/usr/bin/env bash
# Tests the kernel in a Python that runs without the GIL, through the door that needs no shared library of it, and what
# only a Python with the package can do that is as new as that:
#
#   tests/support/free_threaded.sh 3.14
#
# The tests themselves run with the environment that tests/run.sh makes. Its last line is `N passed, N failed`.

set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
source tests/support/hosted.sh

version=${1:-3.14}
driver=$PWD/tests/.venv/bin/python
target=$PWD/target/${version}t
work=$PWD/tests/.work-${version}t
environment=$PWD/tests/.venv-${version}t
packages=$environment/lib/python${version}t/site-packages

[[ -x $driver ]] || { echo "run tests/run.sh first: it makes tests/.venv" >&2 && exit 1; }
python=$("$driver" tests/support/free_threaded.py "$version") || exit 3
export CARGO_TARGET_DIR=$target PYO3_PYTHON=$python
# What depends on no Python need not be compiled again.
[[ -d $target/release || ! -d target/release ]] || { mkdir -p "$target" && cp -a target/release "$target/"; }
cargo build --release -p diaphane-extension || exit 1

if [[ ! -d $environment ]]; then
  "$python" -m venv --without-pip "$environment" || exit 1
  # Of a package with several versions, the last is that of the newest Pythons.
  mapfile -t wanted < <(grep -E '^(ipython|comm|matplotlib-inline|numpy|pandas|scipy|trio)==' tests/requirements.txt |
    sed 's/;.*//' | tac | sort -u -t= -k1,1)
  platforms=(--platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64)
  "$driver" -m pip install --quiet --disable-pip-version-check --ignore-requires-python --target "$packages" --only-binary=:all: \
    --implementation cp --python-version "$version" --abi "cp${version/./}t" "${platforms[@]}" "${wanted[@]}" || exit 1
fi
fill_package "$packages" "$target/release" &&
  "$environment/bin/python" -m diaphane install --prefix "$work" || exit 1

JUPYTER_PATH=$work/share/jupyter "$driver" tests/support/homes.py \
  "$driver" -m pytest -c tests/pytest.ini --rootdir tests -q --junitxml="$work/pytest.xml" tests/free_threaded tests/guest/test_attach.py
read -r passed failed < <("$driver" tests/support/count.py "$work/pytest.xml")
echo "$passed passed, $failed failed"
((failed == 0))
