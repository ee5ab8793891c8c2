const rfc3339 = /^(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$/;

/** A time of RFC 3339 in UTC, to the microsecond; undefined for what is none, or is finer. */
export function readTime(text: string): string | undefined {
  const [, day, time, fraction = "", zone] = rfc3339.exec(text) ?? [];
  if (!day || !time || !zone || /[^0]/.test(fraction.slice(6))) return undefined;
  const whole = new Date(`${day}T${time}${zone.toUpperCase()}`);
  // JavaScript takes February 30 for March 2; the year 0 is none of PostgreSQL's.
  const isDay =
    !Number.isNaN(Date.parse(`${day}T00:00:00Z`)) &&
    new Date(`${day}T00:00:00Z`).toISOString().startsWith(day);
  if (!isDay || Number.isNaN(whole.getTime()) || !/^(?!0000)\d{4}-/.test(whole.toISOString()))
    return undefined;
  return whole.toISOString().replace(".000Z", `.${fraction.slice(0, 6).padEnd(6, "0")}Z`);
}
