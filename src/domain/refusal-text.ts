/** Whether a text reads as a refusal. A heuristic of phrases in English: a provider that says so itself is surer. */

const notAble = "(?:cannot|can't|could not|couldn't|(?:am|'m) (?:unable|not able) to)";
const unwilling = "(?:do not|don't|will not|won't|would not|wouldn't)";
const helping =
  '(?:answer|assist|change|comply|continue|create|engage|fulfil|fulfill|generate|give|help|participate|provide|recommend|suggest|support|write)';

const beginnings = new RegExp(
  `^(?:i ?${notAble}|i will not|i won't|(?:i am|i'm|i am really|i'm really|i'm very) sorry|sorry,|i apologi[sz]e|unfortunately, i (?:${notAble}|${unwilling}))(?!\\w)`,
);

const anywhere = new RegExp(
  [
    `\\bi ?${notAble}(?: actually)? ${helping}\\b`,
    `\\bi ${unwilling}(?: actually)? ${helping}\\b`,
    `\\b(?:cannot|can't) (?:comply|help)\\b`,
    `\\b(?:cannot|can't) (?:assist with|fulfill) (?:that|your|this) request\\b`,
    `\\bi (?:do not|don't) feel comfortable\\b`,
    '\\bas an? (?:ai|assistant|language model|large language model)\\b',
    '\\bi am programmed\\b',
    '\\bnot (?:appropriate|ethical|legal)\\b',
    '\\bwould not be appropriate\\b',
    '\\bis illegal and unethical\\b',
  ].join('|'),
);

export function looksRefused(text: string): boolean {
  const plain = text.trim().toLowerCase().replaceAll(/[′’]/g, "'");
  return beginnings.test(plain) || anywhere.test(plain);
}
