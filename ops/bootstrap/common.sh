# Sourced by ops/bootstrap.sh: words for the person, the lock, and the test for "nothing to do".
# shellcheck shell=bash

say() { printf 'bootstrap %3ds  %s\n' "$SECONDS" "$*" >&2; }
warn() { printf 'bootstrap       warning: %s\n' "$*" >&2; }

# stop WHAT...: the person has to do something first.
stop() {
  printf 'Error: %s\n' "$1" >&2
  shift
  if [ $# -gt 0 ]; then printf 'Try:   %s\n' "$@" >&2; fi
  exit 2
}

# fail WHAT LOG: a step that should have worked did not.
fail() {
  printf 'Error: %s; the end of %s:\n' "$1" "$2" >&2
  tail -n 25 "$2" >&2
  exit 1
}

nothing_to_do() {
  npm_packages_present && find_postgres && faiss_settled && ffmpeg_present &&
    { [ "$for_tests" = no ] || { browser_present && postgres_17_settled; }; }
}

# Waits for a start in the same folder that got here first. The lock ends with this process.
take_lock() {
  if command -v flock >/dev/null; then
    exec 9>>"$1"
    flock --nonblock 9 && return
    say 'waiting for another bootstrap in this folder'
    flock 9
    return
  fi
  # macOS has no flock: a folder that names its owner, taken over when the owner is gone.
  local folder="$1.d"
  until mkdir "$folder" 2>/dev/null; do
    if ! kill -0 "$(cat "$folder/pid" 2>/dev/null || echo 0)" 2>/dev/null; then rm -rf "$folder"; fi
    sleep 1
  done
  echo $$ >"$folder/pid"
  # shellcheck disable=SC2064 # the folder of now
  trap "rm -rf '$folder'" EXIT
}

# The stamp is written last, so an npm ci that was cut off is done again.
npm_packages_present() { cmp -s package-lock.json node_modules/.homeport-package-lock.json; }

install_npm_packages() {
  # onnxruntime-node would download CUDA at install; scripts are off in .npmrc, this is for older npm.
  ONNXRUNTIME_NODE_INSTALL=skip npm ci --no-progress --loglevel=warn &&
    cp package-lock.json node_modules/.homeport-package-lock.json
}

ffmpeg_present() { command -v ffmpeg >/dev/null; }

browser_present() {
  local name
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null; then return 0; fi
  done
  [ -x '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome' ] ||
    [ -x '/Applications/Chromium.app/Contents/MacOS/Chromium' ]
}
