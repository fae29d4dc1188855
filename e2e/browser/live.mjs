export const liveChecks = [];
