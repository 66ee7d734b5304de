# Sourced by ops/bootstrap.sh: the FAISS addon. faiss-node's own install script downloads a binary or
# clones FAISS from GitHub; its one source file compiles against the distribution's library in seconds.
# shellcheck shell=bash

faiss_addon=node_modules/faiss-node/build/Release/faiss-node.node
# Says why there is no addon, so that a machine that cannot build it does not try at every start.
faiss_refused=node_modules/faiss-node/build/not-built
no_faiss_library='there is no FAISS library'

# Built, or known not to build here: then a person gets one line at every start, and no compiler runs
# until the library is there that was not there before.
faiss_settled() {
  if [ -e "$faiss_addon" ]; then return 0; fi
  [ -e "$faiss_refused" ] || return 1
  if [[ $(cat "$faiss_refused") == *"$no_faiss_library"* ]] && faiss_prefix >/dev/null; then return 1; fi
  warn "$(cat "$faiss_refused") (remove $faiss_refused to try again)"
}

faiss_prefix() {
  local prefix
  for prefix in /usr /opt/homebrew/opt/faiss /usr/local/opt/faiss /usr/local; do
    if [ -e "$prefix/include/faiss/Index.h" ]; then
      echo "$prefix"
      return 0
    fi
  done
  return 1
}

faiss_library_present() { [ -e "$faiss_addon" ] || { faiss_prefix >/dev/null && command -v c++ >/dev/null; }; }

node_headers() {
  local folder binary
  binary=$(command -v node)
  for folder in "$(dirname "$binary")/../include/node" "$(dirname "$(readlink -f "$binary")")/../include/node" \
    /usr/include/node /usr/include/nodejs/src node_modules/node-api-headers/include \
    "$(npm config get nodedir 2>/dev/null)/include/node"; do
    if [ -e "$folder/node_api.h" ]; then
      echo "$folder"
      return 0
    fi
  done
  return 1
}

build_faiss_addon() {
  if faiss_settled; then return 0; fi
  local log=$PWD/data/bootstrap-faiss.log
  mkdir -p "${faiss_addon%/*}"
  say 'building the FAISS addon'
  if compile_faiss_addon >"$log" 2>&1 && try_faiss_addon >>"$log" 2>&1; then
    mv "$faiss_addon.new" "$faiss_addon"
  else
    rm -f "$faiss_addon.new"
    local reason='see data/bootstrap-faiss.log'
    if grep -q "$no_faiss_library" "$log"; then reason=$no_faiss_library; fi
    echo "the FAISS addon could not be built ($reason); the api's own scan answers instead" >"$faiss_refused"
    faiss_settled
  fi
}

compile_faiss_addon() {
  local prefix headers shim=${faiss_addon%/*}/shim.h
  [ -e node_modules/faiss-node/src/faiss.cc ] || { echo 'npm left faiss-node out'; return 1; }
  prefix=$(faiss_prefix) || { echo "$no_faiss_library"; return 1; }
  headers=$(node_headers) || { echo 'there are no headers of this Node'; return 1; }
  # The addon was written for FAISS 1.7.4, where idx_t moved into the namespace; saying so again does no harm.
  printf '#include <cstdint>\nnamespace faiss { using idx_t = int64_t; }\n' >"$shim"
  local flags=(-std=c++17 -O2 -shared -fPIC -DNAPI_VERSION=8 -DNAPI_CPP_EXCEPTIONS -include "$shim"
    -I"$headers" -Inode_modules/node-addon-api -I"$prefix/include" node_modules/faiss-node/src/faiss.cc
    -o "$faiss_addon.new")
  if [ "$(uname -s)" = Darwin ]; then
    c++ "${flags[@]}" -undefined dynamic_lookup -L"$prefix/lib" -lfaiss
  else
    c++ "${flags[@]}" -fopenmp -L"$prefix/lib" -Wl,--no-as-needed -lfaiss -lopenblas -lgomp
  fi
}

# In a process of its own: an addon that does not fit aborts the process that loads it.
try_faiss_addon() {
  OMP_NUM_THREADS=1 node -e '
    const addon = { exports: {} }
    process.dlopen(addon, require("node:path").resolve(process.argv[1]))
    const index = new addon.exports.IndexFlatIP(2)
    index.add([1, 0, 0, 1])
    if (index.search([0, 1], 1).labels[0] !== 1) throw new Error("the addon finds the wrong vector")
  ' "$faiss_addon.new"
}
