// Answers each message with its payload.
export const handler = {
  process(payload) {
    return payload;
  },
};
