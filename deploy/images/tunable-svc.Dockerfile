# The service, and the normalizer, which the service starts if LOG_PATH is set and no OTLP receiver is configured.
# It starts as root and switches permanently to the owner of LOG_PATH, or to an unprivileged user, before it listens.
FROM scratch
# The binaries, and a world-writable /tmp.
COPY root/ /
EXPOSE 8080
HEALTHCHECK --interval=2s --timeout=2s --start-period=20s CMD ["/tunable-svc", "healthcheck"]
ENTRYPOINT ["/tunable-svc"]
