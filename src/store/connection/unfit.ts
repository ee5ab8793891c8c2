/** Thrown at start if the database can't hold the records. The message says what to do. */
export class UnfitDatabase extends Error {}
