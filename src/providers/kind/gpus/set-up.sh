#!/bin/sh
# Gives pods of this node of kind the GPUs whose ids are the arguments. Each part looks whether it is done, so that
# this may be run again after it was stopped anywhere; a run that lives on is waited for.
set -eu
exec 9>/run/berth-gpus.lock
flock 9

# The container toolkit, from where its vendor publishes it.
if ! command -v nvidia-ctk >/dev/null || ! command -v nvidia-container-runtime >/dev/null; then
	export DEBIAN_FRONTEND=noninteractive
	key=/usr/share/keyrings/nvidia-container-toolkit.asc
	from=https://nvidia.github.io/libnvidia-container
	dpkg --configure -a
	curl --fail --silent --show-error --location --retry 3 --output "$key.part" "$from/gpgkey"
	mv "$key.part" "$key"
	# apt itself puts in the architecture.
	echo "deb [signed-by=$key] $from/stable/deb/\$(ARCH) /" >/etc/apt/sources.list.d/nvidia-container-toolkit.list
	apt-get --quiet update
	apt-get --quiet --yes --no-install-recommends install nvidia-container-toolkit
fi >&2

# What runs containers: all of them by NVIDIA's runtime, which leaves alone those that have no GPU. A containerd that
# does not answer is being started, and is looked at again once it does.
runtime=$(crictl info | sed -n 's/.*"defaultRuntimeName": *"\([^"]*\)".*/\1/p' | head -n 1)
case $runtime in
nvidia* | '') ;;
*)
	nvidia-ctk runtime configure --runtime=containerd --config-source=file --set-as-default >&2
	systemctl restart containerd
	;;
esac

# The driver makes device files again for every GPU of the machine, unless this file says that it may not. Older
# toolkits on the machine hide it behind a mount, newer ones have changed it already.
params=/proc/driver/nvidia/params
if grep -q '^ModifyDeviceFiles: 1$' "$params" 2>/dev/null; then
	if mountpoint -q /proc/driver/nvidia; then
		umount -R /proc/driver/nvidia
	fi
	sed 's/^ModifyDeviceFiles: 1$/ModifyDeviceFiles: 0/' "$params" >/run/berth-gpus.params
	mount --bind /run/berth-gpus.params "$params"
fi

# The device files of GPUs that other nodes have: a node sees every device of the machine.
[ $# -gt 0 ] || exit 0
own=' '
for id in "$@"; do
	number=$(nvidia-smi -q -i "$id" | sed -n 's/^ *Minor Number *: *\([0-9][0-9]*\) *$/\1/p')
	[ -n "$number" ] || { echo "nvidia-smi does not tell the device file of $id" >&2; exit 1; }
	own="$own$number "
done
for file in /dev/nvidia[0-9]*; do
	[ -e "$file" ] || continue
	case $own in
	*" ${file#/dev/nvidia} "*) ;;
	*)
		while umount "$file" 2>/dev/null; do :; done
		rm -f "$file"
		;;
	esac
done
