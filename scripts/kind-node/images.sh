# shellcheck shell=bash
# shellcheck disable=SC2154 # `here`, `cache` and what names.sh says come from build
# Sourced by build: makes images of programs, in Docker.

# Fails with what to install.
need_root_and_packages() {
	[ "$(id -u)" -eq 0 ] || fail "kind-node: this needs root, for a root file system of Debian and for Docker"
	local missing=()
	command -v docker >/dev/null && [ -x /usr/sbin/dockerd ] || docker info >/dev/null 2>&1 || missing+=(docker.io)
	command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
	command -v pkg-config >/dev/null || missing+=(pkg-config)
	[ -e /usr/include/seccomp.h ] || missing+=(libseccomp-dev)
	command -v cc >/dev/null || missing+=(gcc libc6-dev)
	[ ${#missing[@]} -eq 0 ] || fail "kind-node: missing: ${missing[*]}; apt-get install --no-install-recommends ${missing[*]}"
}

# images_there KEY: whether Docker has the node images, made of this, and what tests take from Docker itself.
images_there() {
	local image
	for image in registry:3 registry.k8s.io/e2e-test-images/agnhost localhost/hello; do
		[ -n "$(docker images -q "$image" 2>/dev/null)" ] || return 1
	done
	for image in "$node_image" "$node_image-addons" "$node_image-addons-nopolicy"; do
		[ "$(docker image inspect --format '{{index .Config.Labels "berth.dev/kind-node"}}' "$image" 2>/dev/null)" = "$1" ] || return 1
	done
}

# debian_rootfs FILE
debian_rootfs() {
	local list
	list=$(IFS=, && echo "${packages[*]}")
	say "kind-node: a root file system of Debian $debian"
	mmdebstrap --quiet --format=tar --variant=minbase --aptopt='APT::Sandbox::User "root"' --include="$list" "$debian" "$1.part" >&2 &&
		mv "$1.part" "$1"
}

# make_images PROGRAMS CONTROL-PLANE ADDON-BINARIES KEY
make_images() {
	local bin=$1 control_plane=$2 addon_binaries=$3 key=$4
	local work kubernetes image name agnhost metallb metrics traefik router images=() addons=()
	work=$cache/work
	rm -rf "$work"
	mkdir -p "$work"
	kubernetes=$(version_of kubernetes k8s.io/kubernetes)
	metallb=$(module_version "$here/../addon-binaries/metallb/go.mod" go.universe.tf/metallb)
	traefik=$(module_version "$here/../addon-binaries/traefik/go.mod" github.com/traefik/traefik/v3)
	metrics=$(module_version "$here/../controlplane/go.mod" sigs.k8s.io/metrics-server)
	router=$(version_of kube-router github.com/cloudnativelabs/kube-router/v2)

	node_rootfs

	say "kind-node: images of Kubernetes $kubernetes"
	mapfile -t images < <("$bin/kubeadm" config images list --kubernetes-version "$kubernetes" 2>/dev/null)
	for image in "${images[@]}"; do
		name=${image##*/}
		name=${name%:*}
		case $name in
		kube-proxy) image_with_iptables "$image" "$bin/kube-proxy" ;;
		kube-*) image_of "$image" "/usr/local/bin/$name" "$control_plane/$name" ;;
		etcd) image_of "$image" /usr/local/bin/etcd "$control_plane/etcd" ;;
		coredns) image_of "$image" /coredns "$bin/coredns" ;;
		pause) image_of "$image" /pause "$bin/pause" ;;
		*) fail "kind-node: kubeadm wants \`$image\`, and nothing here makes it" ;;
		esac
	done
	image_of localhost/rk-cni:v1 /rk-cni "$bin/rk-cni"
	image_with_iptables "localhost/kube-router:$router" "$bin/kube-router"
	images+=(localhost/rk-cni:v1 "localhost/kube-router:$router")

	say "kind-node: images of the addons"
	agnhost=$(cat "$(module_folder kubernetes k8s.io/kubernetes)/test/images/agnhost/VERSION")
	addons=(
		localhost/hello:v1
		"registry.k8s.io/e2e-test-images/agnhost:$agnhost"
		"quay.io/metallb/controller:$metallb"
		"quay.io/metallb/speaker:$metallb"
		"registry.k8s.io/metrics-server/metrics-server:$metrics"
		"docker.io/library/traefik:$traefik"
	)
	image_of "${addons[0]}" /hello "$bin/hello"
	image_of "${addons[1]}" /agnhost "$bin/agnhost" 'CMD ["pause"]' 'EXPOSE 80 8080 8081 9376 5000'
	image_of "${addons[2]}" /controller "$addon_binaries/controller"
	image_of "${addons[3]}" /speaker "$addon_binaries/speaker"
	image_of "${addons[4]}" /metrics-server "$control_plane/metrics-server"
	image_of "${addons[5]}" /traefik "$addon_binaries/traefik"
	registry_image docker.io/library/registry:3

	say "kind-node: $node_image, -addons, -addons-nopolicy"
	node_images
	rm -rf "$work"
}

# A Debian with systemd, and over it the programs and files of a node, in $work/rootfs.
node_rootfs() {
	local root=$work/rootfs node=$here/node unit
	mkdir "$root"
	tar -C "$root" -xf "$bin/rootfs.tar" --exclude='./dev/*' --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' \
		--exclude='./usr/share/locale/*' --exclude='./var/lib/apt/lists/*' --exclude='./var/cache/*'
	mkdir -p "$root"/opt/cni/bin "$root"/etc/cni/net.d "$root"/etc/containerd "$root"/etc/kubernetes/{manifests,kubelet.conf.d} \
		"$root"/kind/{manifests,bin} "$root"/var/lib/kubelet "$root"/var/log/journal
	install -m 755 "$bin"/{containerd,containerd-shim-runc-v2,ctr,crictl} "$root/usr/local/bin/"
	install -m 755 "$bin"/{runc,runc-bounded} "$root/usr/local/sbin/"
	install -m 755 "$bin"/{kubeadm,kubelet} "$control_plane/kubectl" "$root/usr/bin/"
	install -m 755 "$bin"/{bridge,ptp,loopback,host-local,portmap} "$root/opt/cni/bin/"
	install -m 755 "$node/entrypoint" "$root/usr/local/bin/"
	install -m 755 "$node/kubelet-cgroups" "$root/kind/bin/"
	install -m 644 "$node"/{containerd,kubelet}.service "$root/etc/systemd/system/"
	install -m 644 "$node"/default-{cni,storage}.yaml "$root/kind/manifests/"
	install -m 644 "$node/default-cni.yaml" "$root/kind/cni-nopolicy.yaml"
	cat "$node/network-policy.yaml" >>"$root/kind/manifests/default-cni.yaml"
	install -m 644 "$node/10-cgroup-v1.conf" "$root/etc/kubernetes/kubelet.conf.d/"
	sed "s#@PAUSE@#$("$bin/kubeadm" config images list --kubernetes-version "$kubernetes" 2>/dev/null | grep /pause:)#" \
		"$node/containerd.toml" >"$root/etc/containerd/config.toml"
	echo "$kubernetes" >"$root/kind/version"
	echo 'KUBELET_EXTRA_ARGS=--runtime-cgroups=/system.slice/containerd.service' >"$root/etc/default/kubelet"
	echo 'runtime-endpoint: unix:///run/containerd/containerd.sock' >"$root/etc/crictl.yaml"
	for unit in containerd kubelet; do
		ln -sf "/etc/systemd/system/$unit.service" "$root/etc/systemd/system/multi-user.target.wants/"
	done
	ln -sf /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
	for unit in dev-hugepages.mount sys-fs-fuse-connections.mount sys-kernel-{debug,tracing,config}.mount tmp.mount \
		systemd-{sysctl,modules-load,remount-fs,logind,udevd,udev-trigger,resolved,firstboot,journal-catalog-update,update-done}.service \
		systemd-udevd-{kernel,control}.socket getty.target getty@tty1.service console-getty.service \
		{apt-daily,apt-daily-upgrade,e2scrub_all,fstrim}.timer nftables.service; do
		ln -sf /dev/null "$root/etc/systemd/system/$unit"
	done
	: >"$root/etc/machine-id"
}

# import_image NAME FOLDER CHANGE…: an image of one layer; the one that had the name goes.
import_image() {
	local name=$1 folder=$2 changes=() change old new
	shift 2
	old=$(docker images -q "$name")
	for change in "$@"; do changes+=(--change "$change"); done
	tar -C "$folder" --numeric-owner --owner=0 --group=0 --mtime=@0 --sort=name -c . |
		docker import --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' "${changes[@]}" - "$name" >/dev/null
	new=$(docker images -q "$name")
	if [ -n "$old" ] && [ "$old" != "$new" ]; then
		docker rmi "$old" >/dev/null 2>&1 || true # a container may use it
	fi
}

# image_of NAME ENTRYPOINT FILE CHANGE…: the program, in /usr/local/bin and at /, and nothing else but
# certificates, users and /tmp.
image_of() {
	local name=$1 entrypoint=$2 file=$3 folder=$work/image
	shift 3
	rm -rf "$folder"
	mkdir -p "$folder"/usr/local/bin "$folder"/etc/ssl/certs "$folder"/tmp
	chmod 1777 "$folder/tmp"
	cp /etc/ssl/certs/ca-certificates.crt "$folder/etc/ssl/certs/"
	printf 'root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532::/:/sbin/nologin\n' >"$folder/etc/passwd"
	cp "$file" "$folder/usr/local/bin/"
	ln -s "usr/local/bin/${file##*/}" "$folder/${file##*/}"
	import_image "$name" "$folder" "ENTRYPOINT [\"$entrypoint\"]" "$@"
}

# image_with_iptables NAME FILE: with iptables, nft, ipset and conntrack out of the node's root file system.
image_with_iptables() {
	local name=$1 file=$2 root=$work/rootfs folder=$work/image libraries program library target link
	libraries=usr/lib/$(uname -m)-linux-gnu
	local programs=(usr/sbin/xtables-nft-multi usr/sbin/nft usr/sbin/conntrack usr/bin/kmod usr/sbin/ipset)
	rm -rf "$folder"
	mkdir -p "$folder"/usr/local/bin "$folder"/usr/{sbin,bin,lib64} "$folder/$libraries" "$folder"/{run,tmp,etc}
	for link in lib lib64 bin sbin; do ln -s "usr/$link" "$folder/$link"; done
	for program in "${programs[@]}"; do cp "$root/$program" "$folder/$program"; done
	while read -r library; do
		target=$folder/usr${library#/usr}
		mkdir -p "$(dirname "$target")"
		cp "$root$(chroot "$root" readlink -f "$library")" "$target"
	done < <(for program in "${programs[@]}" "$libraries/xtables/libxt_statistic.so"; do chroot "$root" ldd "/$program" | grep -o '/[^ ]*'; done | sort -u)
	cp -r "$root/$libraries/xtables" "$folder/$libraries/"
	for link in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
		ln -s xtables-nft-multi "$folder/usr/sbin/$link"
	done
	for link in lsmod modprobe; do ln -s ../bin/kmod "$folder/usr/sbin/$link"; done
	cp "$file" "$folder/usr/local/bin/"
	echo 'root:x:0:0:root:/:/sbin/nologin' >"$folder/etc/passwd"
	import_image "$name" "$folder" "ENTRYPOINT [\"/usr/local/bin/${file##*/}\"]"
}

# registry_image NAME: configured as the image of that name is.
registry_image() {
	local folder=$work/image module
	rm -rf "$folder"
	mkdir -p "$folder"/bin "$folder"/etc/distribution "$folder"/etc/ssl/certs "$folder"/var/lib/registry "$folder"/tmp
	module=$(module_folder registry github.com/distribution/distribution/v3)
	cp /etc/ssl/certs/ca-certificates.crt "$folder/etc/ssl/certs/"
	cp "$bin/registry" "$folder/bin/"
	# Open to all, as there.
	sed '/^auth:/,/^health:/{/^health:/!d}' "$module/cmd/registry/config-example.yml" >"$folder/etc/distribution/config.yml"
	import_image "$1" "$folder" 'ENTRYPOINT ["/bin/registry"]' 'CMD ["serve","/etc/distribution/config.yml"]' \
		'ENV OTEL_TRACES_EXPORTER=none' 'EXPOSE 5000' 'VOLUME /var/lib/registry'
}

# The node images. Pods' images are put into containerd's store by a containerd that runs in the image;
# they are unpacked only when used, for there is no overlay on the overlay here.
node_images() {
	local builder=berth-kind-node-build base=localhost/berth-kind-node-base:latest
	tar -C "$work/rootfs" --numeric-owner -c . | docker import - "$base" >/dev/null
	docker rm -f "$builder" >/dev/null 2>&1 || true
	docker run -d --name "$builder" --privileged --network none --entrypoint /bin/sleep "$base" infinity >/dev/null
	docker exec -d "$builder" sh -c 'containerd >/tmp/containerd.log 2>&1'
	local _
	for _ in $(seq 50); do
		docker exec "$builder" ctr version >/dev/null 2>&1 && break
		sleep 0.2
	done
	put_into "$builder" "${images[@]}"
	keep "$builder" "$node_image"
	put_into "$builder" "${addons[@]}"
	name_by_digest "$builder" "${addons[@]}"
	keep "$builder" "$node_image-addons"
	docker rm -f "$builder" >/dev/null
	docker run -d --name "$builder" --network none --entrypoint /bin/sleep "$node_image-addons" infinity >/dev/null
	docker exec "$builder" cp /kind/cni-nopolicy.yaml /kind/manifests/default-cni.yaml
	keep "$builder" "$node_image-addons-nopolicy"
	docker rm -f "$builder" >/dev/null
	docker rmi "$base" >/dev/null 2>&1 || true
}

# put_into CONTAINER IMAGE…
put_into() {
	local container=$1 image
	shift
	for image in "$@"; do
		# It warns of cgroups on each call.
		docker save "$image" |
			docker exec -i "$container" ctr -n k8s.io images import --all-platforms --no-unpack --digests - >/dev/null 2>"$work/import.log" ||
			fail "kind-node: $image cannot be put into a node image: $(tail -n 3 "$work/import.log")"
	done
	# Names that the import made up.
	docker exec "$container" sh -c 'ctr -n k8s.io images ls -q | grep ^import- | xargs -r ctr -n k8s.io images rm' >/dev/null 2>&1 || true
}

# name_by_digest CONTAINER IMAGE…: where an addon names its image by the digest of the published one, the image that
# was built here stands for it. containerd finds what it has by name.
name_by_digest() {
	local container=$1 image pinned
	shift
	for image in "$@"; do
		for pinned in $(pinned_images | grep -F "$image@"); do
			docker exec "$container" ctr -n k8s.io images tag "$image" "${image%:*}@${pinned#*@}" >/dev/null 2>&1 ||
				fail "kind-node: $image cannot be named by its digest in the node image"
		done
	done
}

# keep CONTAINER NAME: an image of it, as a node. `docker commit` cannot say the signal that stops systemd.
keep() {
	local committed=localhost/berth-kind-node-committed:latest old new
	old=$(docker images -q "$2")
	docker commit --change 'ENTRYPOINT ["/usr/local/bin/entrypoint","/sbin/init"]' --change 'CMD []' \
		--change 'ENV container=docker PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' "$1" "$committed" >/dev/null
	printf 'FROM %s\nSTOPSIGNAL SIGRTMIN+3\nLABEL berth.dev/kind-node=%s\n' "$committed" "$key" |
		DOCKER_BUILDKIT=0 docker build -q -t "$2" - >/dev/null 2>&1
	docker rmi "$committed" >/dev/null 2>&1 || true
	new=$(docker images -q "$2")
	if [ -n "$old" ] && [ "$old" != "$new" ]; then
		docker rmi "$old" >/dev/null 2>&1 || true
	fi
}
