#!/usr/bin/env bash
# Checks and measures --device cuda on a machine with an NVIDIA GPU that may have no network and no Node.
#
#   bash test/gpu/run.sh pack FOLDER [SM]     on a machine with npm and pip: writes pieces under 60 MB into FOLDER.
#                                             SM, such as 90 for an H100, keeps the kernels of that GPU alone.
#   bash test/gpu/run.sh run FOLDER RESULTS   on the machine with the GPU: joins the pieces, runs everything and writes
#                                             RESULTS/gpu.json. Its python3 has torch, whose CUDA libraries are used.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

pack() {
  local folder=$1 sm=${2:-} stage version wheel
  mkdir -p "$folder"
  folder=$(cd "$folder" && pwd)
  stage=$(mktemp -d)
  # expanded here: the variable is gone when the shell exits
  trap "rm -rf '$stage'" EXIT
  (cd "$root" && npx tsc -b)
  version=$(node -p "require('$root/node_modules/onnxruntime-node/package.json').version")

  echo "fetching onnxruntime-gpu $version"
  python3 -m pip download -q --no-deps --only-binary=:all: --python-version 3.12 \
    --platform manylinux_2_27_x86_64 --platform manylinux_2_28_x86_64 --dest "$stage/wheel" "onnxruntime-gpu==$version"
  wheel=$(ls "$stage"/wheel/*.whl)

  echo "gathering the project"
  mkdir -p "$stage/app/node_modules" "$stage/app/test/interop"
  cp -r "$root/dist" "$root/package.json" "$stage/app/"
  cp -r "$root/test/gpu" "$stage/app/test/"
  cp "$root/test/interop/shakenet_torch.py" "$stage/app/test/interop/"
  (cd "$root" && npm ls --omit=dev --all --parseable 2>/dev/null || true) | sed -n "s#^$root/node_modules/##p" |
    grep -vE "^(onnxruntime-web|sharp|@img)" |
    while read -r name; do mkdir -p "$stage/app/node_modules/$(dirname "$name")"; cp -rn "$root/node_modules/$name" "$stage/app/node_modules/$(dirname "$name")/"; done
  find "$stage/app" \( -name '*.map' -o -name '*.d.ts' -o -name '*.md' \) -delete
  rm -rf "$stage"/app/node_modules/onnxruntime-node/bin/napi-v6/{win32,darwin,linux/arm64}
  cp "$(command -v node)" "$stage/app/node"
  strip "$stage/app/node" 2>/dev/null || true

  local libraries=$stage/app/node_modules/onnxruntime-node/bin/napi-v6/linux/x64
  node "$root/test/gpu/unpack-provider.mjs" "$wheel" "$libraries"
  if [ -n "$sm" ]; then python3 "$root/test/gpu/keep_kernels.py" "$libraries/libonnxruntime_providers_cuda.so" "$sm"; fi

  echo "packing"
  rm -f "$folder"/shakenet-gpu.tar.xz.*
  tar cf - -C "$stage" app | xz -6 -T0 | split -b 55m -d - "$folder/shakenet-gpu.tar.xz."
  ls -l "$folder"
}

run() {
  local pieces=$1 results=$2 work
  mkdir -p "$results"
  results=$(cd "$results" && pwd)
  work=$(mktemp -d)
  trap "rm -rf '$work'" EXIT
  cat "$pieces"/shakenet-gpu.tar.xz.* | tar xJf - -C "$work"
  cd "$work/app"
  export PATH=$work/app:$PATH
  local failed=0
  node test/gpu/measure.mjs "$results" || failed=1
  if python3 -c 'import torch' 2>/dev/null; then python3 test/gpu/torch_speed.py "$results" || failed=1; fi
  node test/gpu/join-results.mjs "$results"
  return $failed
}

case "${1:-}" in
  pack) pack "${2:?a folder for the pieces}" "${3:-}" ;;
  run) run "${2:?the folder of the pieces}" "${3:?a folder for the results}" ;;
  *) sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 2 ;;
esac
