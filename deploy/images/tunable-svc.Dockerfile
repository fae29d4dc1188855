# The service, and beside it the normalizer that it starts where LOG_PATH is set and nobody else takes its telemetry.
# Started as root, as here, it becomes the owner of LOG_PATH (or nobody in particular) for good before it listens.
FROM scratch
# Binaries, and a /tmp that everybody may write to.
COPY root/ /
EXPOSE 8080
HEALTHCHECK --interval=2s --timeout=2s --start-period=20s CMD ["/tunable-svc", "healthcheck"]
ENTRYPOINT ["/tunable-svc"]
