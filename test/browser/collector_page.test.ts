/**
 * The collector's page in a real Chromium: a recorded death of a kernel is fed into the collector as datagrams, and must
 * stand on the page, whole and unmistakable. Screenshots go to a temporary folder (NETPOLL_SCREENSHOTS names another).
 */

import { existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Collector, createCollector } from '../../src/collector/index.ts';
import { printableText } from '../../src/wire/netconsole_text.ts';
import { goldenDir, readCapture } from '../golden/netconsole/read_capture.ts';

const CHROMIUM = '/usr/bin/chromium';
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

const shots = process.env.NETPOLL_SCREENSHOTS ?? mkdtempSync(join(tmpdir(), 'netpoll-page-'));
const death = readCapture(join(goldenDir, 'oops_panic-k61.pcap.gz')).filter(({ dstPort }) => dstPort === 6667);
const boot = readCapture(join(goldenDir, 'kmsg-k72.pcap.gz')).filter(({ dstPort }) => dstPort === 6668);
const panicText = 'Kernel panic - not syncing: Fatal exception';

let collector: Collector;
let browser: Browser;
let url: string;

function feed(
  datagrams: readonly { srcPort: number; dstPort: number; payload: Uint8Array; tsUs: number }[],
  host: string,
): void {
  // As if it were now: the page shows how long ago a machine was heard.
  const shift = Date.now() * 1000 - (datagrams.at(-1)?.tsUs ?? 0);
  let nowUs = 0;
  for (const { srcPort, dstPort, payload, tsUs } of datagrams) {
    nowUs = tsUs + shift;
    collector.datagram(host, srcPort, dstPort, payload, nowUs);
  }
  collector.flush(nowUs);
}

async function open(options: Parameters<Browser['newPage']>[0]): Promise<{ page: Page; errors: string[] }> {
  const page = await browser.newPage(options);
  page.setDefaultTimeout(10_000);
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  await page.goto(url);
  await page.locator('.connection.live').waitFor();
  return { page, errors };
}

describe.skipIf(!existsSync(CHROMIUM))(
  'the collector page in Chromium (skipped where /usr/bin/chromium is absent)',
  () => {
    beforeAll(async () => {
      mkdirSync(shots, { recursive: true });
      collector = createCollector();
      url = await collector.startHttp(0);
      browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGS });
    });

    afterAll(async () => {
      await browser?.close();
      await collector?.close();
    });

    it('says that it listens when nothing has come', async () => {
      const { page, errors } = await open({ viewport: { width: 1280, height: 800 } });
      await page.getByText('Listening. No message has come yet.').waitFor();
      expect(errors).toEqual([]);
      await page.close();
    });

    it('shows a panic that happens while it is open: every line of it, in one card, with a banner', async () => {
      feed(boot, '10.77.0.200');
      const { page, errors } = await open({ viewport: { width: 1280, height: 800 } });
      await page.getByText('sysrq: Power Off').first().waitFor();
      feed(death, '10.77.0.42');
      await page.locator('.banner', { hasText: panicText }).waitFor();
      expect(await page.title()).toBe('Panic on 10.77.0.42 · netpoll');

      const card = page.locator('.report.panic');
      await card.waitFor();
      await page.getByRole('button', { name: 'Show' }).click();
      const lines = await card.locator('.lines .text').allTextContents();
      const expected = collector.store
        .query({ limit: 5000, host: '10.77.0.42' })
        .entries.filter(({ block }) => block !== null);
      expect(expected.length).toBe(64);
      expect(lines).toEqual(expected.map(({ text }) => printableText(text, true)));
      expect(lines[0]).toContain('BUG: kernel NULL pointer dereference');
      expect(lines).toContain(panicText);
      expect(lines.at(-1)).toBe('Rebooting in 2 seconds..');
      await page.waitForTimeout(200);
      await page.screenshot({ path: join(shots, 'panic-light.png') });
      expect(await page.locator('.host-button.panicked').textContent()).toContain('10.77.0.42');
      expect(errors).toEqual([]);
      await page.close();
    });

    it('filters by host, level and text, and shows a report whole or not at all', async () => {
      const { page, errors } = await open({ viewport: { width: 1280, height: 800 }, colorScheme: 'dark' });
      await page.locator('.report.panic').waitFor();
      await page.screenshot({ path: join(shots, 'end-dark.png') });
      await page.keyboard.press('/');
      await page.keyboard.type('die_null_read');
      await expect.poll(() => page.locator('.report.panic .lines .text').count()).toBe(64);
      expect(await page.locator('.row').count()).toBe(64);
      expect(await page.locator('mark').count()).toBe(2);
      await page.screenshot({ path: join(shots, 'search-dark.png') });
      await page.keyboard.press('Escape');

      await page.locator('.host-button', { hasText: '10.77.0.200' }).click();
      await expect.poll(() => page.locator('.report').count()).toBe(0);
      await page.getByLabel('Level').selectOption({ label: 'warn and above' });
      await expect.poll(() => page.locator('.row.level-info, .row.level-notice, .row.level-debug').count()).toBe(0);
      expect(await page.locator('.row.level-err').count()).toBeGreaterThan(0);
      await page.screenshot({ path: join(shots, 'levels-dark.png') });
      expect(errors).toEqual([]);
      await page.close();
    });

    it('folds and copies a report, and shows what is known of a message, by keyboard too', async () => {
      const context = await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'] });
      const page = await context.newPage();
      await page.goto(url);
      const card = page.locator('.report.panic');
      await card.waitFor();
      await card.getByRole('button', { name: 'Copy' }).click();
      await card.getByText('Copied').waitFor();
      const copied = await page.evaluate<string>('navigator.clipboard.readText()');
      expect(copied.split('\n').length).toBe(65);
      expect(copied).toContain(`[    6.786370] ${panicText}\n`);
      await card.locator('.fold').click();
      expect(await card.locator('.row').count()).toBe(0);
      await card.locator('.fold').press('Enter');
      expect(await card.locator('.row').count()).toBe(64);
      await card.locator('.line').first().press('Enter');
      await card.locator('.details', { hasText: 'sequence379' }).waitFor();
      await context.close();
    });

    it('stays where the reader is while more comes, and follows again on demand', async () => {
      const { page } = await open({ viewport: { width: 1280, height: 800 } });
      await page.locator('.report.panic').waitFor();
      await page.mouse.move(800, 500);
      await page.mouse.wheel(0, -600);
      await page.locator('.to-end').waitFor();
      const many = Array.from({ length: 3000 }, (_, i) => ({
        srcPort: 1,
        dstPort: 6666,
        payload: new TextEncoder().encode(`6,${i},${i * 1000},-;eth0: line ${i} of a long and quiet night\n`),
        tsUs: i,
      }));
      const before = await page.locator('.scroller').evaluate((element) => element.scrollTop);
      feed(many, '10.77.0.7');
      await page.getByText(/^3,000 new/).waitFor();
      const after = await page.locator('.scroller').evaluate((element) => element.scrollTop);
      expect(Math.abs(after - before)).toBeLessThan(5);
      await page.locator('.to-end').click();
      await page.getByText('line 2999 of a long').waitFor();
      await page.waitForTimeout(300);
      expect(await page.getByText('line 2999 of a long').isVisible()).toBe(true);
      // Only what is near the window is drawn.
      expect(await page.locator('.row').count()).toBeLessThan(900);
      await page.screenshot({ path: join(shots, 'quiet-light.png') });
      await page.close();
    });

    it('lets no byte from the wire act: no markup, no control characters', async () => {
      const hostile = '<img src=x onerror=alert(1)> \\x1b[31m \\xe2\\x80\\xaeevil \\xff';
      const payload = new TextEncoder().encode(`3,1,2,-;${hostile}\n`);
      feed([{ srcPort: 1, dstPort: 2, payload, tsUs: 1 }], '10.77.0.66');
      const { page } = await open({ viewport: { width: 1280, height: 800 } });
      const shown = await page.locator('.row .text', { hasText: 'onerror' }).textContent();
      expect(shown).toBe('<img src=x onerror=alert(1)> \\x1b[31m \\u202eevil \\xff');
      await page.close();
    });

    it('fits a phone', async () => {
      const { page } = await open({
        viewport: { width: 390, height: 844 },
        deviceScaleFactor: 2,
        isMobile: true,
        hasTouch: true,
      });
      await page.locator('.banner').waitFor();
      await page.getByRole('button', { name: 'Show' }).click();
      await page.locator('.report.panic').waitFor();
      await page.waitForTimeout(200);
      await page.screenshot({ path: join(shots, 'panic-phone.png') });
      const overflow = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
      expect(overflow).toBeLessThanOrEqual(0);
      await page.close();
    });

    it('says that the collector is away, and finds it again', async () => {
      const { page } = await open({ viewport: { width: 1280, height: 800 } });
      const port = Number(new URL(url).port);
      await collector.close();
      await page.getByText('Collector is away').waitFor();
      collector = createCollector();
      url = await collector.startHttp(port);
      await page.locator('.connection.live').waitFor({ timeout: 15_000 });
      feed(death, '10.77.0.42');
      await page.locator('.report.panic').waitFor();
      expect(await page.locator('.report').count()).toBe(1);
      await page.close();
    });
  },
);
