/** What the panel shows of the report of `%native_prof --last`. Pure functions. */

/** A line of a cell with its share of the time. */
export interface ILine {
  place: string;
  /** Per cent; null where there are too few samples for a share. */
  share: number | null;
  source: string;
  did: string;
}

export interface IProfile {
  /** The kernel counts them. */
  number: number;
  /** The number of the cell, which may have none. */
  cell: number | null;
  /** The sentences above the table, the most telling first. */
  sentences: readonly string[];
  lines: readonly ILine[];
  /** The whole report as HTML. */
  html: string;
  /** Whether Python was there to say what stands on the lines. */
  hasText: boolean;
}

/** How many lines are shown. */
const LINES = 6;

const TYPE = 'application/vnd.diaphane.native_prof+json';

/** Of a report by MIME type; nothing where it is none. */
export function profileOf({ number, cell }: { number: number; cell: number | null }, data: any): IProfile | null {
  const report = data?.[TYPE];
  const html = data?.['text/html'];
  if (!report || typeof html !== 'string') {
    return null;
  }
  const rows: any[] = Array.isArray(report.cell_lines) ? report.cell_lines : [];
  const lines = rows.slice(0, LINES).map(row => ({
    place: row.line === null ? '' : row.place,
    share: typeof row.self_pct === 'number' ? row.self_pct : null,
    source: String(row.source ?? ''),
    did: String(row.did ?? '')
  }));
  const found = Array.isArray(report.diagnoses) ? report.diagnoses : [];
  const sentences = found.slice(0, 1).map((one: any) => String(one.title));
  return { number, cell, sentences, lines, html, hasText: lines.every(line => line.source !== '') };
}
