/** The part of jstat that is used: the package has no types. */
declare module 'jstat' {
  const jstat: {
    readonly jStat: {
      /** Logarithm of the gamma function. */
      gammaln(x: number): number;
      readonly studentt: { inv(p: number, freedom: number): number; cdf(t: number, freedom: number): number };
      readonly normal: { cdf(x: number, mean: number, deviation: number): number };
      readonly beta: {
        /** Quantile of the beta distribution: the x with P(X <= x) = p. */
        inv(p: number, alpha: number, beta: number): number;
      };
      readonly binomial: {
        /** P(X <= k) of n trials. */
        cdf(k: number, n: number, p: number): number;
      };
    };
  };
  export default jstat;
}
