# What `install.sh --hosted` does otherwise: the kernel becomes a package of that Python, and no program of its own.
# Sourced by install.sh, whose functions of the same names these replace.

wheels=${CARGO_TARGET_DIR:-target}/wheels/here

# Any Python can host, but nobody's system Python is changed.
ensure_embeddable() {
  [[ $curve == yes ]] || fail "a package has CURVE; leave out --without-curve"
  local folder
  folder=$("$python" -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
  if [[ -z $(fact environment) && -e $folder/EXTERNALLY-MANAGED ]]; then
    fail "the packages of $python are managed by the system (PEP 668);" \
      "make an environment, and name its Python: $python -m venv ENV && ./install.sh --hosted --python ENV/bin/python"
  fi
  [[ -n $(fact environment) ]] ||
    fail "$python is nobody's environment; make one: $python -m venv ENV && ./install.sh --hosted --python ENV/bin/python"
  "$python" -m pip --version >/dev/null 2>&1 || fail "$python has no pip; run: $python -m ensurepip"
  "$python" -c 'import ensurepip' 2>/dev/null || apt_install "python$(fact minor)-venv"
}

build() { watch_build kernel/wheel/build.sh here diaphane "$wheels" "$python"; }

install_kernel() {
  put_package diaphane jupyter-client
  kernelspec=$(fact prefix)/share/jupyter/kernels/diaphane title="Python (diaphane)"
  if ((${#place[@]})) || [[ $name != diaphane ]]; then
    local report
    report=$("$python" -m diaphane install --name "$name" "${place[@]}")
    printf '%s\n' "$report"
    title=$(sed -n 's/^Installed "\(.*\)" as .*/\1/p' <<<"$report")
    kernelspec=$(sed -n 's/^ *kernelspec *//p' <<<"$report")
  fi
  export JUPYTER_PATH=${kernelspec%/kernels/*}${JUPYTER_PATH:+:$JUPYTER_PATH}
}

# Puts the newest wheel of a package into the environment, with what it needs, and the packages named behind it.
put_package() {
  local wheel
  wheel=$(ls -t "$wheels/${1//-/_}"-[0-9]*.whl | head -n 1)
  printf 'Installing %s (%s) into %s\n' "${wheel##*/}" "$(du -h "$wheel" | cut -f1)" "$(fact prefix)"
  # pip leaves a package of the same version as it is.
  "$python" -m pip uninstall --quiet --yes "$1" 2>/dev/null
  "$python" -m pip install --quiet --disable-pip-version-check --constraint requirements.txt "$wheel" "${@:2}"
}

build_compiler() {
  watch_build kernel/wheel/build.sh here diaphane-rust "$wheels" "$python"
  put_package diaphane-rust
}

uninstall() {
  choose_python
  if ((${#place[@]})) || [[ $name != diaphane ]]; then
    "$python" -m diaphane uninstall --name "$name" "${place[@]}"
    return
  fi
  "$python" -m pip uninstall --yes diaphane diaphane-rust
}
