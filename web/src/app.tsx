/** The page: hosts and reports at the left, the log at the right; and the keys. */

import { useEffect } from 'preact/hooks';
import { follow, host, level, refilter, reports, text, worst } from './log.ts';
import { LogView } from './log_view.tsx';
import { PanicBanner, showReport } from './report.tsx';
import { Sidebar } from './sidebar.tsx';
import { Toolbar } from './toolbar.tsx';

let current = -1;

/** `/` search, Escape clears, `f` follows, `n` and `N` walk through the reports. */
function onKey(event: KeyboardEvent): void {
  const target = event.target as HTMLElement;
  const typing = target instanceof HTMLInputElement || target instanceof HTMLSelectElement;
  if (event.key === 'Escape') {
    text.value = '';
    host.value = null;
    level.value = 7;
    refilter();
    if (typing) target.blur();
    return;
  }
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === '/') {
    event.preventDefault();
    document.getElementById('search')?.focus();
  } else if (event.key === 'f') {
    follow.value = !follow.value;
  } else if (event.key === 'n' || event.key === 'N') {
    const all = reports.value;
    if (all.length === 0) return;
    current = (current + (event.key === 'n' ? 1 : -1) + all.length) % all.length;
    showReport(all[current]!);
  }
}

export function App() {
  useEffect(() => {
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
  const panic = worst.value;
  useEffect(() => {
    document.title = panic === null ? 'netpoll' : `Panic on ${panic.block.value.host} · netpoll`;
  }, [panic]);
  return (
    <div class="page">
      <Sidebar />
      <main>
        <PanicBanner />
        <Toolbar />
        <LogView />
      </main>
    </div>
  );
}
