#!/usr/bin/env bash
# Builds wheels, and checks each of them; install.sh says for whom.
#
#   kernel/wheel/build.sh here PACKAGE FOLDER PYTHON              for this machine and this Python, by the system's
#                                                                 compiler, where cargo builds everything
#   kernel/wheel/build.sh everywhere PACKAGE FOLDER [VERSION...]  for every Linux with glibc 2.28 (RHEL 8, Debian 10) and
#                                                                 Pythons of these minor versions, of which none need
#                                                                 be here
#
#   kernel/wheel/build.sh tools                                   nothing but the tools for the latter
#
# PACKAGE is diaphane, or diaphane-rust, the compiler of Rust cells, which is for every Python.
# The tools come from Python's package index, in the versions and with the hashes of maturin.txt and zig.txt. What is
# built for everywhere is meant to be the same, byte for byte, wherever the same tools build it (docs/releasing.md).

set -euo pipefail
repository=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
here=$repository/kernel/wheel
target=$(realpath -m "${CARGO_TARGET_DIR:-$repository/target}")
work=$target/wheels

main() {
  how=${1:-}
  local folder
  folder=$(realpath -m "${3:-.}")
  case ${2:-} in
    diaphane) project=kernel manifest=kernel/extension/Cargo.toml ;;
    diaphane-rust) project=magics/rust/sidecar manifest=magics/rust/sidecar/Cargo.toml ;;
    *) [[ $how == tools ]] || how="" ;;
  esac
  # The toolchain is that of this folder.
  cd "$repository"
  mkdir -p "$work"
  # Who comes second waits: both would write the licences into the same folder.
  exec 9>"$work/lock"
  flock 9
  [[ ${2:-} != diaphane ]] || copy_panel
  case $how in
    here)
      ensure_tools maturin "$4"
      write_notices gcc
      if [[ $2 == diaphane ]]; then
        PYO3_PYTHON=$4 build "$folder" --compatibility linux --interpreter "$4"
      else
        CARGO_TARGET_DIR=$repository/$project/target build "$folder" --compatibility linux
      fi
      ;;
    everywhere)
      ensure_tools zig python3
      write_notices zig
      for_every_linux
      build "$folder" --zig --target x86_64-unknown-linux-gnu --compatibility manylinux_2_28 \
        ${4:+--interpreter "${@:4}"}
      ;;
    tools) ensure_tools zig python3 ;;
    *) sed -n '4,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 2 ;;
  esac
}

# The environment with the tools of one list, made by this Python where it is missing or the list has changed.
ensure_tools() {
  tools=$work/tools/$1
  cat "$here"/*.txt | cmp --quiet - "$tools/lists" && return
  "$2" -m venv --clear "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
    --requirement "$here/$1.txt"
  cat "$here"/*.txt >"$tools/lists"
}

# The panel of JupyterLab lies beside the kernelspec: maturin follows links to files, and none to folders.
copy_panel() {
  local share=$repository/kernel/extension/wheel-data/data/share/jupyter
  local panel=$share/labextensions/@diaphane/lab
  rm -rf "$share/labextensions"
  mkdir -p "${panel%/*}"
  cp -r "$repository/lab/dist" "$panel"
  # By which JupyterLab's list of extensions says how it is removed.
  printf '{"packageManager": "python", "packageName": "diaphane", "uninstallInstructions": "pip uninstall diaphane"}\n' \
    >"$panel/install.json"
}

# The licences of all that is linked in, which a package has to bring along.
write_notices() { "$tools/bin/python" "$here/notices.py" "$repository/$manifest" "$repository/$project" "$1"; }

# Runs maturin in the folder of the pyproject.toml; what it made goes into a folder once it was checked.
build() {
  local new=$work/new/$how
  rm -rf "$new"
  (cd "$repository/$project" && PATH=$tools/bin:$PATH maturin build --release --locked --out "$new" "${@:2}")
  "$tools/bin/python" "$here/check.py" "$new"/*.whl
  mkdir -p "$1"
  mv "$new"/*.whl "$1"
}

# The environment of a build by zig: nothing of this machine gets into it but libsodium's archive.
for_every_linux() {
  export SOURCE_DATE_EPOCH
  SOURCE_DATE_EPOCH=$(git -C "$repository" log -1 --format=%ct 2>/dev/null || date --date=2026-11-01 +%s)
  export CARGO_TARGET_DIR=$target/zig ZIG_GLOBAL_CACHE_DIR=$work/cache ZIG_LOCAL_CACHE_DIR=$work/cache
  # Lines are left out in the end, and only cost time.
  export CARGO_PROFILE_RELEASE_DEBUG=false
  leave_out_paths
  # zig has its own headers of glibc, so libsodium's are taken without their neighbours.
  mkdir -p "$work/include"
  cp -r /usr/include/sodium.h /usr/include/sodium "$work/include/"
  CXXFLAGS="-DZMQ_HAVE_CURVE=1 -DZMQ_USE_LIBSODIUM=1 -DZMQ_HAVE_PTHREAD_SETNAME_2=1 -I$work/include $CFLAGS"
  DIAPHANE_CXX_ARCHIVES="-lc++ $(cc -print-file-name=libsodium.a)"
  export CXXFLAGS DIAPHANE_CXX_ARCHIVES
}

# Files have the same names in what is built, wherever they lie.
leave_out_paths() {
  local cargo=${CARGO_HOME:-$HOME/.cargo} rust commit
  rust=$(rustc --print sysroot)/lib/rustlib/src/rust
  commit=$(rustc --version --verbose | sed -n 's/^commit-hash: //p')
  local flags=(
    "--remap-path-prefix=$cargo=/cargo" "--remap-path-prefix=$rust=/rustc/$commit"
    "--remap-path-prefix=$repository=/diaphane" -Clink-arg=-Wl,--build-id=sha1
  )
  CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && printf '%s' "${flags[*]}")
  CFLAGS="-ffile-prefix-map=$cargo=/cargo -ffile-prefix-map=$repository=/diaphane"
  export CFLAGS CARGO_ENCODED_RUSTFLAGS
}

main "$@"
