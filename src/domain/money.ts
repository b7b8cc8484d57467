/**
 * Money as whole numbers: one unit of currency is 10^24 of them. That holds a unit price of twelve decimals per million
 * tokens, discounted, without rounding; floating point is never summed.
 */
const decimals = 24;

/** @returns undefined when the text is no plain or exponential decimal, negative, or finer than can be held exactly */
export function parseMoney(text: string): bigint | undefined {
  const match = /^(\d{1,15})(?:\.(\d{1,24}))?(?:e([+-]?\d{1,2}))?$/.exec(text);
  if (!match) return undefined;
  const [, whole = '', fraction = '', exponent = '0'] = match;
  const shift = decimals - fraction.length + Number(exponent);
  const digits = BigInt(whole + fraction);
  if (shift >= 0) return digits * 10n ** BigInt(shift);
  const divisor = 10n ** BigInt(-shift);
  return digits % divisor === 0n ? digits / divisor : undefined;
}

/** A plain decimal, e.g. `0.0000051`; no exponent, no trailing zeros. */
export function formatMoney(money: bigint): string {
  const digits = money.toString().padStart(decimals + 1, '0');
  const fraction = digits.slice(-decimals).replace(/0+$/, '');
  return digits.slice(0, -decimals) + (fraction === '' ? '' : `.${fraction}`);
}
