/**
 * The connection to the collector: the live tail, the hosts, and how well both do.
 *
 *   connecting -> live <-> away (the browser, then this file, tries again)
 *
 * Ids of the tail begin with the server's instance: another instance means that the ids begin anew, so the log does too.
 */

import { signal } from '@preact/signals';
import type { Block } from '../../src/collector/panic.ts';
import type { Entry, HostSummary } from '../../src/collector/store.ts';
import { add, clear, complete, incomplete, noteBlock } from './log.ts';

export type Connection = 'connecting' | 'live' | 'away';

export const connection = signal<Connection>('connecting');
export const hosts = signal<readonly HostSummary[]>([]);
/** The page's clock, for "12 s ago"; moves once a second. */
export const nowMs = signal(Date.now());

const BACK = 2000;
const RETRY_MS = 2000;
const HOSTS_MS = 1000;
const REPORTS_LOADED = 30;
const SETTLE_MS = 150;

let instance: string | null = null;
let stale = true;

/** Connects, and stays connected. */
export function start(): void {
  connect();
  setInterval(() => {
    nowMs.value = Date.now();
    if (stale && connection.value === 'live') void loadHosts();
  }, HOSTS_MS);
}

function connect(): void {
  const source = new EventSource(`/api/tail?back=${BACK}`);
  source.onopen = () => {
    connection.value = 'live';
    void loadHosts();
    void loadReports();
  };
  source.onerror = () => {
    connection.value = 'away';
    if (source.readyState !== EventSource.CLOSED) return;
    setTimeout(connect, RETRY_MS);
  };
  source.addEventListener('entries', (event: MessageEvent<string>) => {
    const from = event.lastEventId.split('.')[0] ?? '';
    if (instance !== null && from !== instance) clear();
    instance = from;
    const { entries, blocks, missed } = JSON.parse(event.data) as { entries: Entry[]; blocks: Block[]; missed: number };
    add(entries, blocks, missed);
    if (hosts.value.length === 0 || blocks.length > 0) void loadHosts();
    stale = true;
  });
}

/** Fetches the reports that began before the log that the tail gave, whole. */
async function loadReports(): Promise<void> {
  try {
    const response = await fetch('/api/blocks');
    const { blocks } = (await response.json()) as { blocks: Block[] };
    for (const block of blocks.slice(-REPORTS_LOADED)) noteBlock(block);
    // The tail's own lines come at the same time: only what they do not bring is fetched.
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    for (const report of incomplete()) {
      report.asked = true;
      const lines = await fetch(`/api/messages?block=${report.id}&limit=5000`);
      complete(report, ((await lines.json()) as { entries: Entry[] }).entries);
    }
  } catch {
    // The tail tells that the server is away; the next connection asks again.
  }
}

async function loadHosts(): Promise<void> {
  stale = false;
  try {
    const response = await fetch('/api/hosts');
    const body = (await response.json()) as { hosts: HostSummary[] };
    hosts.value = body.hosts.sort((a, b) => a.host.localeCompare(b.host, 'en', { numeric: true }));
  } catch {
    // The tail tells that the server is away; the hosts come with the next try.
    stale = true;
  }
}
