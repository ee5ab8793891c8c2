const rfc3339 = /^(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$/;

/** An RFC 3339 time in UTC, to the microsecond; undefined if the text is not one, or is finer. */
export function readTime(text: string): string | undefined {
  const [, day, time, fraction = "", zone] = rfc3339.exec(text) ?? [];
  if (!day || !time || !zone || /[^0]/.test(fraction.slice(6))) return undefined;
  const whole = new Date(`${day}T${time}${zone.toUpperCase()}`);
  // JavaScript reads February 30 as March 2; PostgreSQL has no year 0.
  const isDay =
    !Number.isNaN(Date.parse(`${day}T00:00:00Z`)) &&
    new Date(`${day}T00:00:00Z`).toISOString().startsWith(day);
  if (!isDay || Number.isNaN(whole.getTime()) || !/^(?!0000)\d{4}-/.test(whole.toISOString()))
    return undefined;
  return whole.toISOString().replace(".000Z", `.${fraction.slice(0, 6).padEnd(6, "0")}Z`);
}
