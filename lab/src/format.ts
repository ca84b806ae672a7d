/** Numbers as people read them. Sizes are in units of 1000, as in the reports of the magics. */

export function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

export function percent(value: number | null): string {
  return value === null ? '–' : value.toFixed(0);
}

export function duration(seconds: number): string {
  const whole = Math.floor(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (hours) {
    return `${hours} h ${minutes} min`;
  }
  return minutes ? `${minutes} min ${rest} s` : `${rest} s`;
}

/** A library's name without what wheels and ABIs put into it: `libopenblas-6cdc3b4a.so.0` is `libopenblas`. */
export function library(name: string): string {
  const file = name.slice(name.lastIndexOf('/') + 1);
  const stem = file.replace(/(\.cpython-\w+(-[\w-]+)?|\.abi3)?\.so(\.[\d.]+)?$/, '');
  return stem.replace(/[-.][0-9a-f]{8}$/, '');
}
