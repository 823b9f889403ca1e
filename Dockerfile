# One binary on a slim base, as nobody in particular.
#
#   docker build -t shardfleet .
#   docker run -e DISCORD_TOKEN -e NATS_URL=nats://nats:4222 shardfleet gateway

FROM rust:1-slim-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock clippy.toml ./
# Dependencies alone first: they change less often than the code. The benchmarks and tests that the
# manifest names need not be there.
RUN sed -i '/^\[\[\(test\|bench\)\]\]/,/^$/d' Cargo.toml \
    && mkdir src && echo 'fn main() {}' > src/main.rs && touch src/lib.rs \
    && cargo build --release --locked \
    && rm -r src
COPY src src
# Cargo goes by the time of change, and the copy may be older than the empty files were.
RUN touch src/main.rs src/lib.rs && cargo build --release --locked

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="shardfleet" \
      org.opencontainers.image.description="A NATS-native fleet of Discord gateway shards" \
      org.opencontainers.image.licenses="Apache-2.0"
# Discord's certificate is checked against the system's authorities.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/target/release/shardfleet /usr/local/bin/shardfleet
USER 65532:65532
WORKDIR /tmp
# Within a container loopback is nobody's.
ENV SHARDFLEET_WEB__LISTEN=0.0.0.0:9600
EXPOSE 9600
# The orchestrator's grace must be longer than process.drain (25 s).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9600 && printf 'GET /live HTTP/1.0\\r\\n\\r\\n' >&3 && grep -q '^HTTP/1.. 200' <&3"]
ENTRYPOINT ["shardfleet"]
CMD ["gateway"]
