#!/usr/bin/env bash
# Runs a command as if this machine had the newest Pythons: in a root of Debian testing, with this repository in it.
#
#   tests/support/debian_root.sh COMMAND [ARGUMENT...]
#
# The root is made once, in the user's cache, from the Debian mirror of this machine; remove the folder to renew it.
# The home folder (Rust is there), /tmp and the network are the machine's. It is no sandbox.

set -euo pipefail
repository=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
suite=forky
# Tests have a home of their own, and the root is the same for all (homes.py).
root=${DIAPHANE_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/diaphane}/$suite
# What else a build and the tests need is installed by tests/run.sh, there as here.
packages=ca-certificates,mount,python3.14-venv,libpython3.14-dev,python3.15-venv,libpython3.15-dev

main() {
  case ${1:-} in
    "") fail "it needs a command" ;;
    --inside) enter "${@:2}" ;;
    *)
      ((EUID == 0)) || fail "a root of its own is for the user root; run it by sudo"
      ensure_root
      # The mounts are in a namespace of their own, and end with the command.
      exec unshare --mount --propagation private "${BASH_SOURCE[0]}" --inside "$@"
      ;;
  esac
}

fail() {
  echo "debian_root.sh: $1" >&2
  exit 1
}

ensure_root() {
  mkdir -p "${root%/*}"
  # Who comes second waits for the root of the first.
  exec 9>"$root.lock"
  flock 9
  [[ -f $root/made && $(<"$root/made") == "$packages" ]] || make_root
  exec 9>&-
}

make_root() {
  command -v apt-get >/dev/null || fail "this machine has no apt-get, by which Debian's packages are had"
  echo "--- making $root" >&2
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mmdebstrap; } >&2 ||
    fail "apt-get could not install mmdebstrap, which makes roots"
  local mirror
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | head -n 1)
  [[ -n $mirror ]] || fail "this machine's apt knows no mirror of Debian"
  # With the options by which this machine reaches its mirror.
  apt-config dump Acquire >"$root.conf"
  rm -rf --one-file-system "$root"
  mmdebstrap --quiet --mode=root --variant=apt --include="$packages" --aptopt="$root.conf" \
    $suite "$root" "deb $mirror $suite main" || fail "Debian $suite could not be had from this machine's mirror"
  echo "$packages" >"$root/made"
}

enter() {
  local path
  # Only a mount point can become the root.
  mount --bind "$root" "$root"
  for path in /proc /sys /dev /tmp "$HOME" "$repository" "${CARGO_HOME:-}" "${RUSTUP_HOME:-}" \
    /etc/hosts /etc/resolv.conf /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
    [[ -e $path ]] && share "$path"
  done
  cd "$root"
  pivot_root . .
  umount --lazy .
  cd "$repository"
  local rust=${CARGO_HOME:-$HOME/.cargo}/bin
  exec env --unset=VIRTUAL_ENV DIAPHANE_DEBIAN_ROOT="$root" LC_ALL=C.UTF-8 \
    PATH="$rust:/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin" "$@"
}

share() {
  if [[ -d $1 ]]; then
    mkdir -p "$root$1"
  else
    mkdir -p "$root${1%/*}"
    [[ -e $root$1 ]] || touch "$root$1"
  fi
  mount --rbind "$1" "$root$1"
}

main "$@"
