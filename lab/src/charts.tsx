/** The small charts: a line over the last looks, and who had the GIL at each. They are as wide as their place. */

import * as React from 'react';

import { type Holder, POINTS } from './snapshot';

const HEIGHT = 24;

/** A line with the area below it. `from` and `to` are the values at its bottom and top. */
export function Line(props: { values: (number | null)[]; from: number; to: number; label: string; kind: string }) {
  const { values, from, to, label, kind } = props;
  const first = POINTS - values.length;
  const points = values.flatMap((value, index) => {
    if (value === null) {
      return [];
    }
    const y = HEIGHT - 1 - ((HEIGHT - 2) * (value - from)) / (to - from || 1);
    return [`${first + index},${Math.min(HEIGHT, Math.max(0, y)).toFixed(2)}`];
  });
  const left = POINTS - points.length;
  return (
    <svg
      className={`dph-Chart dph-mod-${kind}`}
      viewBox={`0 0 ${POINTS - 1} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      {points.length > 1 && (
        <>
          <path className="dph-Chart-area" d={`M${left},${HEIGHT} L${points.join(' L')} L${POINTS - 1},${HEIGHT} Z`} />
          <polyline className="dph-Chart-line" points={points.join(' ')} />
        </>
      )}
    </svg>
  );
}

/** One stroke for each look at which somebody had the GIL. */
export function Strip(props: { holders: Holder[]; label: string }) {
  const first = POINTS - props.holders.length;
  return (
    <svg className="dph-Strip" viewBox={`0 0 ${POINTS} 1`} preserveAspectRatio="none" role="img" aria-label={props.label}>
      {props.holders.map((holder, index) =>
        holder === 'nobody' ? null : (
          <rect key={index} className={`dph-mod-${holder}`} x={first + index + 0.1} y={0} width={0.8} height={1} />
        )
      )}
    </svg>
  );
}
