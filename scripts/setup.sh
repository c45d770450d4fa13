# Shared by ./run and ./test: makes the machine and .venv ready. Sourced by bash with $root set and the work directory at $root.
# Everything here is quick and silent when nothing is missing.

venv="$root/.venv"
venv_python="$venv/bin/python"

say() { printf '%s\n' "$*"; }

die() {
    printf '\n%s\n' "$*" >&2
    exit 1
}

# Sets $python to the first Python 3.11 or newer on PATH.
find_python() {
    local name
    for name in python3 python3.13 python3.12 python3.11 python; do
        if command -v "$name" >/dev/null 2>&1 &&
            "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            python=$(command -v "$name")
            return
        fi
    done
    die "Python 3.11 or newer is needed and was not found. On Debian 12 or Ubuntu 24.04 run: apt-get install -y python3 python3-venv"
}

has_package() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

has_library() { ldconfig -p 2>/dev/null | grep -qF "$1" || /sbin/ldconfig -p 2>/dev/null | grep -qF "$1"; }

# Sets $missing_needed (the product cannot start without) and $missing_wanted (it starts, something looks or works less well).
find_missing_runtime() {
    missing_needed=()
    missing_wanted=()
    if [ ! -x "$venv_python" ] && ! "$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then
        missing_needed+=("python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv")
    fi
    # WeasyPrint, which makes the PDFs, loads these at run time.
    has_library libpango-1.0.so.0 || missing_needed+=(libpango-1.0-0)
    has_library libpangoft2-1.0.so.0 || missing_needed+=(libpangoft2-1.0-0)
    has_library libharfbuzz-subset.so.0 || missing_needed+=(libharfbuzz-subset0)
    [ -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf ] || has_package fonts-dejavu-core || missing_wanted+=(fonts-dejavu-core)
}

# apt_install PACKAGE...: installs as root; returns 1 when that is not possible, with the reason in apt's own words.
apt_install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return 1
    say "Installing system packages (once): $*"
    local log
    log=$(mktemp)
    # An update that fails (a dead mirror among several) may still leave lists that are good enough: the install decides.
    DEBIAN_FRONTEND=noninteractive apt-get -qq update >"$log" 2>&1 || true
    if DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >>"$log" 2>&1; then
        rm -f "$log"
        return 0
    fi
    tail -n 15 "$log" >&2
    rm -f "$log"
    return 1
}

ensure_runtime_packages() {
    find_missing_runtime
    local all=("${missing_needed[@]}" "${missing_wanted[@]}")
    [ ${#all[@]} -eq 0 ] && return
    apt_install "${all[@]}" && find_missing_runtime
    if [ ${#missing_needed[@]} -gt 0 ]; then
        die "Some system packages are missing. Run this once as root, then start again:

    apt-get update && apt-get install -y ${missing_needed[*]} ${missing_wanted[*]}"
    fi
    [ ${#missing_wanted[@]} -eq 0 ] || say "Printed pages use another font until you run as root: apt-get install -y ${missing_wanted[*]}"
}

# The stamp names the interpreter, the place and the lock: change one and the packages are installed again.
stamp_of() { { "$venv_python" -c 'import sys; print(sys.version, sys.base_prefix)' && printf '%s\n' "$venv" && cat "$@"; } 2>/dev/null | sha256sum; }

# ensure_locked NAME LOCK...: installs the hashed lock files into .venv unless the stamp NAME says it was done.
ensure_locked() {
    local name=$1 stamp="$venv/.installed-$1" lock
    shift
    [ -x "$venv_python" ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(stamp_of "$@")" ] && return
    # Two first starts of one clone must not write into .venv at once; the lock ends with this subshell.
    (
        flock 9
        if ! "$venv_python" -c 'import pip' >/dev/null 2>&1; then
            say "Making the Python environment in .venv (once)"
            "$python" -m venv --clear "$venv" || exit 1
        fi
        [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(stamp_of "$@")" ] && exit 0
        say "Installing the $name packages into .venv (once; a few minutes on a slow line)"
        rm -f "$stamp"
        args=()
        for lock in "$@"; do args+=(-r "$lock"); done
        "$venv_python" -m pip install --quiet --disable-pip-version-check --no-input --require-hashes "${args[@]}" || exit 1
        stamp_of "$@" >"$stamp"
    ) 9>"$root/.setup.lock" || die "The Python packages could not be installed; the lines above say why. Check the internet connection and start again."
}

ensure_runtime() {
    find_python
    ensure_runtime_packages
    ensure_locked runtime requirements.txt
}
