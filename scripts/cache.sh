# shellcheck shell=bash
# Sourced by the scripts that fill a cache of programs built by the Go toolchain: scripts/tools and
# scripts/addon-binaries/build. A cache holds one folder for each key, `current`, a lock, and the
# `partial` folder of a build. Comes after environment.sh; sets no variable but `cache` and `heartbeat`.

# open_cache NAME: makes berth's cache NAME, says its folder in `cache`, and takes its lock or waits
# for it. Two at once wait for each other; one that was killed leaves nothing that is used.
open_cache() {
	[ -n "${XDG_CACHE_HOME:-${HOME:-}}" ] || fail "$1: neither XDG_CACHE_HOME nor HOME says where the cache is"
	cache=${XDG_CACHE_HOME:-$HOME/.cache}/berth/$1
	mkdir -p "$cache"
	exec 9>"$cache/lock"
	if ! lock -n; then
		say "$1: another build of them is running, waiting for it"
		lock
	fi
}

# Takes the lock that file descriptor 9 holds: the kernel frees it when its holders end, however they end.
lock() {
	if command -v flock >/dev/null; then
		flock "$@" 9
	else # macOS
		perl -MFcntl=:flock -e 'open my $f, ">&=", 9; flock $f, LOCK_EX | (@ARGV ? LOCK_NB : 0) or exit 1' -- "$@"
	fi
}

# The key of what it reads.
checksum() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -c1-12; }

# complete FOLDER PROGRAM…: whether all of them are there.
complete() {
	local folder=$1 program
	shift
	for program in "$@"; do [ -x "$folder/$program" ] || return 1; done
}

# activate KEY: `current` is replaced in one move: a reader sees the old one or the new one.
activate() {
	[ "$(readlink "$cache/current" 2>/dev/null || true)" = "$1" ] && return
	ln -sfn "$1" "$cache/current.$$"
	mv -fT "$cache/current.$$" "$cache/current" 2>/dev/null || mv -fh "$cache/current.$$" "$cache/current"
}

# use_go NAME GO-MOD: finds a Go toolchain that is new enough for the module, and sets how modules are built.
use_go() {
	local install="install Go 1.26 or newer (https://go.dev/doc/install) and run this again" wanted version found
	find_go || fail "$1: no Go toolchain found; $install"
	# Go 1.21 and later fetch the toolchain that a module asks for themselves, unless told not to.
	export GOTOOLCHAIN=${GOTOOLCHAIN:-auto} GOWORK=off GOFLAGS=-mod=readonly CGO_ENABLED=0
	wanted=$(sed -n 's/^go 1\.\([0-9]*\).*/\1/p' "$2")
	version=$(cd "$(dirname "$2")" && go env GOVERSION 2>&1) || fail "$1: $version" "$1: $install"
	found=$(sed -n 's/^go1\.\([0-9]*\).*/\1/p' <<<"$version")
	if [ -n "$found" ] && [ "$found" -lt "$wanted" ]; then
		fail "$1: $(command -v go) is $version, which is too old; $install"
	fi
}

# module_version GO-MOD MODULE
module_version() { sed -n "s|^\(require\)\{0,1\}[[:space:]]*$2 \(v[^ ]*\).*|\2|p" "$1" | head -n 1; }

# signs_of_life NAME FOLDER COUNT: a line each minute while programs appear in the folder, until the
# script ends. Holds neither the lock nor a pipe for longer.
signs_of_life() {
	local started=$SECONDS script=$$
	(
		exec 9>&- >/dev/null
		parts=0
		while sleep 3 2>/dev/null && kill -0 "$script" 2>/dev/null; do
			parts=$((parts + 1))
			[ $((parts % 20)) -eq 0 ] || continue
			say "$1: still building, $(((SECONDS - started) / 60)) min, $(find "$2" -maxdepth 1 -type f 2>/dev/null | wc -l) of $3 programs done"
		done
	) &
	heartbeat=$!
	trap 'kill "$heartbeat" 2>/dev/null || true' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

# twice NAME COMMAND…: once more when it failed: what was fetched and compiled is kept by Go, so
# another try goes on where the first one stopped.
twice() {
	local name=$1
	shift
	"$@" && return
	say "$name: the build failed; trying once more in 10 s"
	sleep 10
	"$@" || fail "$name: the build failed again, with the reason above; when a download failed, check the network or GOPROXY and run this again"
}
