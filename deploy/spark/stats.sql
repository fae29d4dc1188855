-- Figures of each module, over the views of a data set (docs/export/parquet.md): times are decimals of milliseconds.
SELECT run_id, app_id, module_id, count(*) AS calls,
  count(*) / ((max(ts_end) - min(ts_enqueue)) / 1000) AS rate_per_s,
  count_if(status >= 500) / count(*) AS error_share,
  avg(queue_time_ms) AS queue_mean_ms,
  avg(service_time_ms) AS service_mean_ms,
  avg(cpu_time_ms) AS cpu_mean_ms,
  percentile_disc(0.50) WITHIN GROUP (ORDER BY rt_ms) AS response_p50_ms,
  percentile_disc(0.99) WITHIN GROUP (ORDER BY rt_ms) AS response_p99_ms,
  coalesce(sum(bytes_in), 0) AS bytes_in_sum,
  coalesce(sum(bytes_out), 0) AS bytes_out_sum
FROM invocations
GROUP BY run_id, app_id, module_id
ORDER BY run_id, app_id, module_id
