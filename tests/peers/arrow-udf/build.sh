#!/bin/sh
# Builds the arrow-udf peer and its guest into a folder: build.sh TARGET_DIR.
#
# arrow-udf's own tools build guests for wasm32-wasip1. Where that target is not installed, the guest is built for
# wasm32-unknown-unknown instead, with a standard library from source if need be, in the ways of `tenon plugin build`. The runtime
# takes such a module: it asks for exports, and what a module does not import it need not be given. The code
# is the same but for how a panic is printed.
set -eu
cd "$(dirname "$0")"
export CARGO_TARGET_DIR="$1" RUSTUP_AUTO_INSTALL=0 CARGO_INCREMENTAL=0
sysroot=$(rustc --print sysroot)

cargo build --locked --quiet --profile host --package tenon-peer-arrow-udf

installed() { ls "$sysroot/lib/rustlib/$1/lib/"libstd-*.rlib >/dev/null 2>&1; }
guest() {
    RUSTFLAGS=-Ctarget-feature=+simd128 cargo build --locked --quiet --release \
        --package tenon-peer-arrow-udf-guest --target "$@"
}
from_source() {
    RUSTC_BOOTSTRAP=1 guest wasm32-unknown-unknown -Zbuild-std=std,panic_abort
}
target=wasm32-unknown-unknown
if installed wasm32-wasip1; then
    target=wasm32-wasip1
    guest $target
elif installed $target; then
    guest $target
elif [ -d "$sysroot/lib/rustlib/src/rust/library" ]; then
    from_source
elif [ -x /usr/bin/rustc ] && [ -d /usr/lib/rustlib/src/rust/library ]; then
    CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$(ls "$sysroot"/lib/rustlib/*/bin/rust-lld | head -n 1)
    export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER RUSTC=/usr/bin/rustc
    from_source
else
    echo "no way to compile for wasm: see tenon doctor" >&2
    exit 1
fi
cp "$CARGO_TARGET_DIR/$target/release/tenon_peer_arrow_udf_guest.wasm" "$CARGO_TARGET_DIR/guest.wasm"
echo "arrow-udf's guest is built for $target" >&2
