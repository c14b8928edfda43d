/** A report of the kernel: one card with all its lines, and the banner that a panic puts over the page. */

import { useState } from 'preact/hooks';
import { bootSeconds, plural, timeOfDay } from './format.ts';
import { type Chunk, follow, host, level, type Report, refilter, text, visibleText, worst } from './log.ts';
import { Row } from './row.tsx';

const NAMES = { panic: 'Panic', oops: 'Oops', warning: 'Warning' } as const;

export function ReportCard({ report, chunk }: { report: Report; chunk: Chunk }) {
  chunk.version.value; // drawn again when the report grows
  const { kind, host: from, title } = report.block.value;
  const open = report.open.value;
  const first = report.entries[0];
  return (
    <section class={`report ${kind}`} id={`report-${report.id}`} aria-label={`${NAMES[kind]} on ${from}`}>
      <header>
        <button
          type="button"
          class="fold"
          aria-expanded={open}
          onClick={() => {
            report.open.value = !open;
          }}
        >
          <span class="tag">{NAMES[kind]}</span>
          <strong>{title}</strong>
        </button>
        <p>
          <span class="where">{from}</span>
          <span>{first === undefined ? '' : timeOfDay(first.received)}</span>
          <span>{plural(report.entries.length, 'line')}</span>
          <CopyButton report={report} />
        </p>
      </header>
      {open && (
        <div class="lines">
          {report.entries.map((entry) => (
            <Row key={entry.id} entry={entry} />
          ))}
        </div>
      )}
    </section>
  );
}

/** The report as the kernel's own console would show it. */
export function reportText(report: Report): string {
  return report.entries
    .map((entry) => `${entry.usec === null ? '' : `[${bootSeconds(entry.usec).padStart(12)}] `}${visibleText(entry)}\n`)
    .join('');
}

function CopyButton({ report }: { report: Report }) {
  const [state, setState] = useState<'Copy' | 'Copied' | 'Select and copy'>('Copy');
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(reportText(report));
      setState('Copied');
    } catch {
      // No clipboard here (a plain http page of another machine): leave it to the person.
      setState('Select and copy');
      const lines = document.querySelector(`#report-${report.id} .lines`);
      if (lines !== null) window.getSelection()?.selectAllChildren(lines);
    }
    setTimeout(() => setState('Copy'), 2500);
  };
  return (
    <button type="button" class="quiet copy" onClick={copy}>
      {state}
    </button>
  );
}

/** Brings a report into view, whatever the filters were. */
export function showReport(report: Report): void {
  follow.value = false;
  report.open.value = true;
  if (report.chunk === null) {
    host.value = null;
    level.value = 7;
    text.value = '';
    refilter();
  }
  bringIntoView(`chunk-report-${report.id}`, 60);
}

/**
 * Scrolls to a chunk. Its lines may still be on their way, and the heights of those above it are guesses until they are
 * drawn: it tries again until the chunk stays at the top, 60 times 50 ms at most.
 */
function bringIntoView(id: string, tries: number): void {
  const element = document.getElementById(id);
  element?.scrollIntoView({ block: 'start' });
  const before = element?.getBoundingClientRect().top;
  setTimeout(() => {
    const settled = element?.isConnected === true && element.getBoundingClientRect().top === before;
    if (settled && element.childElementCount > 0) return;
    if (tries > 0) bringIntoView(id, tries - 1);
  }, 50);
}

export function PanicBanner() {
  const report = worst.value;
  if (report === null) return null;
  const { host: from, title } = report.block.value;
  return (
    <div class="banner" role="alert">
      <span class="pulse" aria-hidden="true" />
      <p>
        <strong>{from}</strong> {title}
      </p>
      <button type="button" onClick={() => showReport(report)}>
        Show
      </button>
    </div>
  );
}
