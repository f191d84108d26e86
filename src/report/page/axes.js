// Ticks of a plot's axes and their labels, and values as one reads them when pointing at a mark. A format is power,
// pow2, count, loss, percent, plain (percents whose axis says so) or number.
"use strict";
const axes = (() => {
  const superscripts = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  const superscript = (n) => (n < 0 ? "⁻" : "") + [...String(Math.abs(n))].map((d) => superscripts[d]).join("");

  const units = [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]];

  // What a number of this size is written in: a unit of counts, a power of ten, or ones.
  function unitOf(size, format) {
    const unit = format === "count" && units.find(([least]) => size >= least);
    if (unit) return unit;
    if (size === 0 || (format !== "power" && size >= 1e-3 && size < 1e6)) return [1, ""];
    const exponent = Math.floor(Math.log10(size) + 1e-9);
    return [10 ** exponent, "·10" + superscript(exponent)];
  }

  function write(value, digits, name, format) {
    const sign = value < 0 ? "−" : value > 0 && format === "percent" ? "+" : "";
    const text = value === 0 ? digits : name[0] === "·" && digits === "1" ? name.slice(1) : digits + name;
    return sign + text + (format === "percent" ? " %" : "");
  }

  function powerOfTwo(value) {
    const exponent = Math.log2(value), whole = Math.round(exponent);
    return Math.abs(exponent - whole) < 1e-3 ? "2" + superscript(whole) : null;
  }

  // Only ticks that stand for powers of ten are written as such at any size.
  const readable = (format) => (format === "power" ? "number" : format);

  function significant(value, count, format) {
    const rounded = Number(value.toPrecision(count));
    const [unit, name] = unitOf(Math.abs(rounded), format);
    return write(value, String(Number(Math.abs(rounded / unit).toPrecision(count))), name, format);
  }

  // A value by itself: losses and percents by decimals, unless those would leave nothing of it.
  function exact(value, format) {
    const decimals = { loss: 4, percent: 2, plain: 2 }[format], unit = format === "plain" ? " %" : "";
    if (format === "pow2") return powerOfTwo(value) ?? significant(value, 5, format);
    if (decimals === undefined) return significant(value, 5, readable(format));
    const reads = value === 0 || Math.abs(value) >= 10 ** (1 - decimals);
    return (reads ? write(value, Math.abs(value).toFixed(decimals), "", format) : significant(value, 3, format)) + unit;
  }

  function decimalsOf(step) {
    for (let n = 0; n < 12; ++n) {
      const scaled = step * 10 ** n;
      if (Math.abs(scaled - Math.round(scaled)) < 1e-6 * scaled) return n;
    }
    return 12;
  }

  // Equal steps have one unit and as many decimals as the step needs; other ticks are single digits of their own unit.
  function labelsOf({ values, step }, format) {
    if (!step) return values.map((value) => (format === "pow2" && powerOfTwo(value)) || significant(value, 3, format));
    const [unit, name] = unitOf(Math.max(...values.map(Math.abs)), readable(format));
    const decimals = decimalsOf(step / unit);
    return values.map((value) => write(value, Math.abs(value / unit).toFixed(decimals), name, format));
  }

  function linearTicks(low, high, count) {
    const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
    const step = power * [1, 2, 2.5, 5, 10].find((m) => m * power >= raw);
    const values = [];
    for (let k = Math.ceil(low / step); k * step <= high + 1e-9 * step; ++k)
      values.push(Number((k * step).toPrecision(12)));
    return { values, step };
  }

  function logTicks(low, high, base, mantissas, stride) {
    const values = [];
    for (let e = Math.floor(Math.log(low) / Math.log(base)); base ** e <= high; ++e)
      for (const m of mantissas)
        if (e % stride === 0 && m * base ** e >= low && m * base ** e <= high) values.push(m * base ** e);
    return { values };
  }

  // From many ticks to few. A logarithmic axis stays readable over a tenth of a decade as over ten decades.
  function tickSets(spec, low, high, count) {
    const base = spec.format === "pow2" ? 2 : 10, steps = spec.log ? Math.log(high / low) / Math.log(base) : 0;
    const sets = [];
    if (steps > (base === 2 ? 1 : 1.2)) {
      for (const mantissas of base === 2 ? [[1]] : steps > 2.2 ? [[1, 3], [1]] : [[1, 2, 5], [1, 3]])
        sets.push(logTicks(low, high, base, mantissas, 1));
      for (let stride = 2; stride <= steps; ++stride) sets.push(logTicks(low, high, base, [1], stride));
    }
    for (let n = count; n > 0; --n) sets.push(linearTicks(low, high, n));
    return sets;
  }

  // The most ticks whose labels stand apart.
  function chooseTicks(scale, spec, low, high) {
    const across = scale.isHorizontal(), length = across ? scale.width - 24 : scale.height;
    const count = !across ? Math.max(6, Math.round(length / 40)) : scale.chart.width < 560 ? 4 : 8;
    const place = (v) => length * (spec.log ? Math.log(v / low) / Math.log(high / low) : (v - low) / (high - low));
    scale.ctx.font = `${Chart.defaults.font.size}px ${Chart.defaults.font.family}`;
    const room = (label) => (across ? scale.ctx.measureText(label).width + 10 : 16);
    const apart = ({ value, label }, i, all) =>
      i === 0 || place(value) - place(all[i - 1].value) >= (room(label) + room(all[i - 1].label)) / 2;
    const sets = tickSets(spec, low, high, count).map((set) => {
      const labels = labelsOf(set, spec.format);
      return set.values.map((value, i) => ({ value, label: labels[i] }));
    });
    const fits = (set) => set.length >= 2 && set.length <= 1.5 * count && set.every(apart);
    return sets.find(fits) ?? sets[sets.length - 1];
  }

  return { chooseTicks, exact };
})();
