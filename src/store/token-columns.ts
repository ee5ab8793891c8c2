import type { TokenUsage } from "../domain/execution.ts";

/** The columns of a TokenUsage. bigint columns come as strings. */
export type TokenColumns = { readonly [Name in keyof TokenUsage]: string };

export const tokenUsageOf = (row: TokenColumns): TokenUsage => ({
  inputTokens: Number(row.inputTokens),
  outputTokens: Number(row.outputTokens),
  cachedTokens: Number(row.cachedTokens),
  lmCalls: Number(row.lmCalls),
});

export const tokenColumnsOf = (usage: TokenUsage): TokenColumns => ({
  inputTokens: String(usage.inputTokens),
  outputTokens: String(usage.outputTokens),
  cachedTokens: String(usage.cachedTokens),
  lmCalls: String(usage.lmCalls),
});
