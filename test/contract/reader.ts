export function describeReader(): void {}
