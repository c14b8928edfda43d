/** The machines that speak, and the reports found in what they say. */

import { connection, hosts, nowMs } from './feed.ts';
import { ago, count, timeOfDay } from './format.ts';
import { host, refilter, reports } from './log.ts';
import { showReport } from './report.tsx';

const STATES = { connecting: 'Connecting', live: 'Live', away: 'Collector is away' } as const;
const REPORTS_SHOWN = 30;

export function Sidebar() {
  return (
    <aside class="sidebar">
      <header class="brand">
        <h1>netpoll</h1>
        <span class={`connection ${connection.value}`} role="status">
          {STATES[connection.value]}
        </span>
      </header>
      <Hosts />
      <Reports />
    </aside>
  );
}

function choose(name: string | null): void {
  host.value = name;
  refilter();
}

function Hosts() {
  const all = hosts.value;
  const total = all.reduce((sum, one) => sum + one.messages, 0);
  return (
    <nav aria-label="Hosts" class="hosts">
      <h2>Hosts</h2>
      <button type="button" class="host-button" aria-pressed={host.value === null} onClick={() => choose(null)}>
        <span class="name">All</span>
        <span class="number">{count(total)}</span>
      </button>
      {all.map((one) => (
        <button
          type="button"
          key={one.host}
          class={`host-button ${one.panics > 0 ? 'panicked' : ''}`}
          aria-pressed={host.value === one.host}
          onClick={() => choose(host.value === one.host ? null : one.host)}
        >
          <span class="name">{one.host}</span>
          <span class="number">{count(one.messages)}</span>
          <span class="seen">
            {one.panics > 0 && <span class="tag">panic</span>}
            {ago(one.lastReceived, nowMs.value)}
            {one.release !== null && <span class="release"> · {one.release}</span>}
          </span>
        </button>
      ))}
    </nav>
  );
}

function Reports() {
  const latest = reports.value.slice(-REPORTS_SHOWN).reverse();
  if (latest.length === 0) return null;
  return (
    <nav aria-label="Reports" class="reports">
      <h2>Reports</h2>
      {latest.map((report) => {
        const { kind, title, host: from, received } = report.block.value;
        return (
          <button type="button" key={report.id} class={`report-button ${kind}`} onClick={() => showReport(report)}>
            <span class="title">{title}</span>
            <span class="seen">
              {from} · {timeOfDay(received).slice(0, 8)}
            </span>
          </button>
        );
      })}
    </nav>
  );
}
