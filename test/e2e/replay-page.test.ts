// The page of a batch in a real browser, without a network: nothing is asked for, nothing is wider than the screen.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { renderHtml } from '../../src/cli/replay-html.ts';
import { measureChange, type ReplayPair, toSide } from '../../src/domain/replay-pair.ts';
import { summariseReplays } from '../../src/domain/replay-report.ts';
import { toReplayBatchView } from '../../src/http/replay-batch-view.ts';
import { execution } from '../support/records.ts';

const chromium = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  existsSync,
);
if (!chromium) console.warn('Skipped: there is no Chromium here to open the page of a batch of replays.');

function page(): string {
  const pairs: ReplayPair[] = Array.from({ length: 30 }, (_, index) => {
    const before = execution({
      rawOutput: `An answer <i>of</i> ${'w'.repeat(300)} ${index}`,
      latencyMs: 100 + index,
    });
    const after = execution({ rawOutput: `Another one of ${index}`, latencyMs: 90 + 2 * index });
    return {
      executionId: before.id,
      before: toSide(before, null),
      after: toSide(after, null),
      reason: null,
      reproduced: false,
      equal: false,
      change: measureChange(before, after),
    };
  });
  const shown = pairs.slice(0, 10).map((pair) => ({
    pair,
    before: 'old',
    after: 'new',
    segments: [
      { kind: 'removed' as const, text: 'w'.repeat(400) },
      { kind: 'added' as const, text: '<i>new</i>' },
    ],
  }));
  const window = { since: '2026-11-14T10:00:00Z', until: '2026-11-21T10:00:00Z' };
  const question = {
    ...window,
    from: {},
    instead: { version: 2 },
    to: 'v2',
    size: 30,
    seed: 's',
    stratify: [],
  };
  return renderHtml(
    toReplayBatchView({
      run: {
        ...{ runId: 'run', promptName: 'summarize', question, population: 30, keyId: null, actor: 'key:ci' },
        executionIds: pairs.map(({ executionId }) => executionId),
        createdAt: new Date(0),
      },
      ...{
        pairs,
        shown,
        departures: [],
        judged: 0,
        suite: null,
        dryRun: false,
        stopped: null,
        simulated: false,
      },
      findings: summariseReplays(pairs),
      spent: { cost: '1', known: '1', currency: 'USD' },
      callCount: 30,
      madeCount: 30,
      durationMs: 1,
    }),
  );
}

/**
 * What the browser itself says of the page, whose own policy is in force: it runs no script, so the frames are looked at
 * from outside. At last a picture from elsewhere is put into it, which the policy has to refuse.
 */
const probe = `const told = [];
async function look(frame) {
  const page = frame.contentDocument, view = frame.contentWindow, root = page.documentElement;
  const all = (selector) => [...page.querySelectorAll(selector)];
  const isCut = (box) => box.getBoundingClientRect().right > view.innerWidth && !box.closest('.wide, svg');
  const seen = { width: view.innerWidth, over: root.scrollWidth - view.innerWidth, cut: all('main *').filter(isCut).length,
    plots: all('svg').filter((svg) => svg.getBoundingClientRect().height > 40).length,
    headings: all('h2, summary').map((heading) => heading.textContent), articles: all('article').length,
    asked: view.performance.getEntriesByType('resource').length };
  const refused = new Promise((done) => page.addEventListener('securitypolicyviolation', (event) => done(event.effectiveDirective)));
  page.body.append(Object.assign(page.createElement('img'), { src: 'https://example.com/x.png' }));
  told.push({ ...seen, refused: await refused });
  document.documentElement.dataset.told = JSON.stringify(told);
}`;

const widths = [390, 1280];

/** The page in frames of these widths: a window cannot be as narrow as a telephone. */
function frames(html: string): string {
  const attribute = html.replaceAll('&', '&amp;').replaceAll('"', '&quot;');
  const frame = (width: number) =>
    `<iframe onload="look(this)" style="width:${width}px;height:900px;border:0" srcdoc="${attribute}"></iframe>`;
  return `<script>${probe}</script>\n${widths.map(frame).join('\n')}`;
}

describe.skipIf(!chromium)('the page of a batch of replays in Chromium', () => {
  it('is whole and not wider than the screen of a telephone or a desk, and asks for nothing', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'promptgate-page-'));
    const file = join(directory, 'page.html');
    await writeFile(file, frames(page()));
    const flags = [
      ...['--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--dump-dom'],
      ...['--host-resolver-rules=MAP * ~NOTFOUND', `--user-data-dir=${directory}/profile`],
    ];
    const { stdout } = await promisify(execFile)(
      chromium!,
      [...flags, '--window-size=1800,1000', `file://${file}`],
      { maxBuffer: 16 * 1024 * 1024 },
    );
    const told = /data-told="([^"]*)"/.exec(stdout)?.[1]?.replaceAll('&quot;', '"') ?? '[]';
    const whole = {
      ...{ over: 0, cut: 0, plots: 7, articles: 10, asked: 0, refused: 'img-src' },
      headings: ['How the figures moved', 'Outcomes and models', 'Most changed answers', 'All 30 pairs'],
    };
    const seen = (JSON.parse(told) as { width: number }[]).sort((a, b) => a.width - b.width);
    expect(seen).toEqual(widths.map((width) => ({ ...whole, width })));
    await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  });
});
