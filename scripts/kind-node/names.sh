# shellcheck shell=bash
# shellcheck disable=SC2034 # used by those who source this
# Sourced: what the node images are called, and what they are made of.

# The image with what kubeadm wants; -addons has the images of the addons as well, and
# -addons-nopolicy those, but nothing that enforces network policies.
node_image=localhost/realkind-node:v1.36.3

# The images that addons name by a digest: NAME:TAG@sha256:…
pinned_images() {
	grep -hoE '[a-z0-9./-]+:[A-Za-z0-9._-]+@sha256:[0-9a-f]{64}' "$(dirname "${BASH_SOURCE[0]}")"/../../addons/*/addon.yaml | sort -u
}

# systemd 252: later ones refuse cgroups of version 1.
debian=bookworm
packages=(
	systemd systemd-sysv dbus bash coreutils procps iproute2 iptables nftables conntrack ethtool socat
	kmod mount util-linux libseccomp2 ca-certificates iputils-ping curl ebtables ipset hostname jq
)
