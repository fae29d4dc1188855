// Numbers as text, in the same form as in libs/page/src/number.rs, so that a cell keeps its form when a window is chosen. Cases for
// both are in tests/numbers.json of this crate.
const numbers = (() => {
  "use strict";
  const NONE = "–";

  const exponential = (value, decimals) => value.toExponential(decimals).replace("e+", "e");

  // Three significant digits. Whole numbers have no decimals.
  const digits = (value) => {
    const size = Math.abs(value);
    if (size === 0) return "0";
    if (size < 1e-4) return exponential(value, 1);
    // A sum such as 0.1 + 0.2 can differ from a round value in its last bits, so values very near to a whole number count as whole.
    if (size < 999.5 && Math.abs(value - Math.round(value)) <= size * 1e-12) return value.toFixed(0);
    const decimals = size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.9995 ? 2 : size >= 0.09995 ? 3 : 4;
    return value.toFixed(decimals);
  };

  // 1,234,567
  const exact = (count) => String(count).replace(/\B(?=(\d{3})+$)/g, ",");

  const count = (value) => {
    if (!Number.isFinite(value)) return NONE;
    if (Math.abs(value) < 999.5) return digits(value);
    const suffixes = ["k", "M", "G", "T", "P", "E"];
    let scaled = value / 1000;
    while (Math.abs(scaled) >= 999.5 && suffixes.length > 1) {
      scaled /= 1000;
      suffixes.shift();
    }
    return Math.abs(scaled) < 999999.5 ? digits(scaled) + suffixes[0] : exponential(value, 2);
  };

  const rate = (value) => (Number.isFinite(value) ? `${count(value)}/s` : NONE);

  // At least two minutes.
  const longDuration = (seconds) => {
    const sign = seconds < 0 ? "-" : "";
    const whole = Math.round(Math.abs(seconds));
    const [high, low, names] =
      whole < 3600 ? [60, 1, ["min", "s"]] : whole < 172800 ? [3600, 60, ["h", "min"]] : [86400, 3600, ["d", "h"]];
    const total = Math.round(whole / low);
    const first = Math.floor(total / (high / low));
    const rest = total % (high / low);
    const text = `${sign}${first < 1e6 ? exact(first) : count(first)} ${names[0]}`;
    return rest === 0 ? text : `${text} ${rest} ${names[1]}`;
  };

  // For values in nanoseconds.
  const duration = (ns) => {
    const size = Math.abs(ns);
    if (!Number.isFinite(size)) return NONE;
    if (size === 0) return "0";
    if (size >= 119.5e9) return longDuration(ns / 1e9);
    const [divisor, unit] = size < 999.5 ? [1, "ns"] : size < 999.5e3 ? [1e3, "µs"] : size < 999.5e6 ? [1e6, "ms"] : [1e9, "s"];
    return `${digits(ns / divisor)} ${unit}`;
  };

  // For shares from 0 to 1, which are shown in percent.
  const share = (part) => {
    const percent = part * 100;
    if (!Number.isFinite(percent)) return NONE;
    if (percent > 0 && percent < 0.01) return "<0.01%";
    return `${Math.abs(percent) < 1 ? Number(percent.toFixed(2)) : digits(percent)}%`;
  };

  return { NONE, count, duration, exact, rate, share };
})();
