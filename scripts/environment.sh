# shellcheck shell=bash
# Sourced by the scripts beside it: puts Rust and Go on PATH when they lie in their usual places,
# and says what is missing and what to install. Works with bash 3.2 and later.

say() { printf '%s\n' "$*" >&2; }

fail() {
	say "$@"
	exit 1
}

# The home folder of the account, also when HOME says something else.
account_home() {
	{ getent passwd "$(id -u)" 2>/dev/null || true; } | cut -d: -f6
}

# Appends the folder to PATH when it holds the program and PATH does not.
on_path() {
	command -v "$1" >/dev/null 2>&1 && return 0
	[ -x "$2/$1" ] || return 1
	PATH=$PATH:$2
	export PATH
}

find_go() {
	local account folder
	account=$(account_home)
	for folder in /usr/local/go/bin /usr/lib/go/bin "${HOME:-/nowhere}/go/bin" "${account:-/nowhere}/go/bin" /opt/homebrew/bin; do
		on_path go "$folder" && return 0
	done
	return 1
}

find_cargo() {
	local account folder
	account=$(account_home)
	for folder in "${CARGO_HOME:-/nowhere}/bin" "${HOME:-/nowhere}/.cargo/bin" "${account:-/nowhere}/.cargo/bin" /usr/local/cargo/bin /opt/homebrew/bin; do
		if on_path cargo "$folder"; then
			# With another HOME, rustup looks for its toolchains where the account has them.
			if [ -z "${RUSTUP_HOME:-}" ] && [ ! -d "${HOME:-/nowhere}/.rustup" ] && [ -d "${account:-/nowhere}/.rustup" ]; then
				export RUSTUP_HOME=$account/.rustup
			fi
			return 0
		fi
	done
	return 1
}

# Everything that a build of berth needs.
need_rust() {
	find_cargo || fail "Rust was not found; install it (https://rustup.rs) and run this again"
	command -v cc >/dev/null 2>&1 ||
		fail "no C compiler was found, and Rust links with it; install one (Debian, Ubuntu: apt-get install gcc libc6-dev) and run this again"
	local version
	version=$(cargo --version 2>&1) || fail "cargo does not work here: $version"
	case ${version#cargo } in
	0.* | 1.[0-9].* | 1.[0-8][0-9].* | 1.9[0-4].*)
		fail "$version is too old: berth needs Rust 1.95; install it (https://rustup.rs) and run this again"
		;;
	esac
}
