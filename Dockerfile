# syntax=docker/dockerfile:1
# A static binary, root certificates and nothing else: no shell, no libc, no package manager.
FROM rust:1.95-slim-bookworm AS build
# nasm and autotools: ISA-L is built from source; ca-certificates: what the image takes over.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends autoconf automake ca-certificates gcc libc6-dev libtool make nasm \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY Cargo.toml Cargo.lock README.md LICENSE ./
COPY src src
COPY tests/bench/*.rs tests/bench/
# What the release is built with; a test may choose a profile that builds sooner.
ARG PROFILE=release
# The target is named so that build scripts and procedural macros, which cannot be static, do not get the flag.
# Packed relocations are a megabyte less.
RUN target="$(uname -m)-unknown-linux-gnu" \
    && RUSTFLAGS="-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs" \
       cargo build --locked --profile "$PROFILE" --features isal --bin chupacabra --target "$target" \
    && install -D -m 755 "target/$target/$PROFILE/chupacabra" /image/usr/local/bin/chupacabra \
    && install -D -m 644 /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt \
    && printf 'nonroot:x:65532:65532:nonroot:/:/sbin/nologin\n' > /image/etc/passwd \
    && printf 'nonroot:x:65532:\n' > /image/etc/group \
    && printf 'hosts: files dns\n' > /image/etc/nsswitch.conf

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="chupacabra" \
      org.opencontainers.image.description="Backups of databases and volumes, sealed with age, and back" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /image/ /
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/chupacabra"]
CMD ["backup"]
