#!/usr/bin/env bash
# Runs the steps of the Dockerfile without a container engine: in a root of Debian made by mmdebstrap, as root.
#
#   tests/support/image_root.sh FOLDER [COMMAND...]
#
# FOLDER is made and is the root; COMMAND runs in it as the image's user, in the place of the Dockerfile's CMD (without
# one, a cell runs through the kernel). It knows the instructions FROM debian:SUITE, RUN, COPY of a folder, ENV, USER,
# WORKDIR and CMD, each on one line. What it does not show: layers, the container's network, its limits and its seccomp
# profile.

set -euo pipefail
repository=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
root=$(realpath -m "${1:?it needs a folder that is to become the root}")
user=root folder=/
environment=(PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive)

check='
import jupyter_client.manager
manager, client = jupyter_client.manager.start_new_kernel(kernel_name="diaphane")
client.execute_interactive("import os, sys; print(sys.version_info[:2], os.getuid())", timeout=60)
client.execute_interactive("%threads", timeout=60)
manager.shutdown_kernel(now=True)'

main() {
  ((EUID == 0)) || fail "a root of its own is for the user root; run it by sudo"
  local instruction rest
  while read -r instruction rest; do
    case $instruction in
      "" | "#"*) ;;
      FROM) make_root "$rest" ;;
      RUN) step "$rest" && inside sh -ec "$rest" ;;
      COPY) step "COPY $rest" && cp -r "$repository/${rest% *}" "$root${rest#* }" ;;
      ENV) environment+=("$rest") ;;
      USER) user=$rest environment+=("HOME=/home/$rest") ;;
      WORKDIR) folder=$rest ;;
      CMD) ;;
      *) fail "it does not know the instruction $instruction" ;;
    esac
  done <"$repository/Dockerfile"
  if (($# > 1)); then
    inside "${@:2}"
  else
    inside python -c "$check"
  fi
}

fail() {
  echo "image_root.sh: $1" >&2
  exit 1
}

step() { printf -- '--- %s\n' "$1"; }

make_root() {
  local suite=${1#debian:} mirror
  suite=${suite%-slim}
  [[ ! -e $root ]] || fail "$root is there already"
  command -v mmdebstrap >/dev/null || fail "it needs mmdebstrap: apt-get install mmdebstrap"
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | head -n 1)
  step "a root of Debian $suite"
  # With the options by which this machine reaches its mirror.
  apt-config dump Acquire >"$root.conf"
  mmdebstrap --quiet --mode=root --variant=minbase --include=ca-certificates --aptopt="$root.conf" "$suite" "$root" "deb $mirror $suite main"
  rm "$root.conf"
}

# Runs a command in the root, with the machine's network and its list of package indexes.
inside() {
  unshare --mount --propagation private bash -euc '
    root=$1 user=$2 folder=$3
    shift 3
    for path in /proc /sys /dev /etc/hosts /etc/resolv.conf /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
      [[ -e $path ]] || continue
      if [[ -d $path ]]; then mkdir -p "$root$path"; else mkdir -p "$root${path%/*}" && touch "$root$path"; fi
      mount --rbind "$path" "$root$path"
    done
    mkdir -p "$root$folder"
    exec chroot --userspec="$user" "$root" env --chdir="$folder" --ignore-environment "$@"
  ' bash "$root" "$user" "$folder" "${environment[@]}" "$@"
}

main "$@"
