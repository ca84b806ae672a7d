# The second door for the tests: a Python that has the kernel among its packages; sourced by tests/run.sh.
#
# It is an environment of its own that sees the packages of the tests, so that nothing is installed twice.

# Makes the environment at $1 from the Python at $2, with the extension module from the target folder $3, and installs
# the kernelspec below $4.
make_hosted() {
  local environment=$1 python=$2 built=$3 prefix=$4 packages
  if [[ ! -d $environment ]]; then
    "$("$python" -c 'import sys; print(sys._base_executable)')" -m venv --without-pip "$environment" || return
  fi
  packages=$(echo "$environment"/lib/python3.*/site-packages)
  "$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' >"$packages/packages_of_the_tests.pth"
  fill_package "$packages" "$built" || return
  [[ ! -e $built/diaphane-rust ]] || cp "$built/diaphane-rust" "$environment/bin/" || return
  printf '#!%s\nimport sys\nfrom diaphane.__main__ import main\nsys.exit(main())\n' "$environment/bin/python" \
    >"$environment/bin/diaphane" && chmod +x "$environment/bin/diaphane" || return
  "$environment/bin/python" -m diaphane install --prefix "$prefix"
}

# Puts the package into the folder $1, with the extension module from the target folder $2.
fill_package() {
  rm -rf "$1/diaphane" && mkdir "$1/diaphane" || return
  cp kernel/python/diaphane/*.py "$1/diaphane/" || return
  cp "$2/lib_diaphane.so" "$1/diaphane/_diaphane.so"
}
