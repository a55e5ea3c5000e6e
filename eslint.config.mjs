import tseslint from "typescript-eslint";

/** Who may import whom where a bundle cannot see it: type imports are erased before the build. */
const noVscode = { name: "vscode", message: "This part must run without VS Code." };
const noGoogleRoot = { name: "googleapis", message: "Import googleapis/build/src/apis/gmail: the root costs 14 MB." };
const noGoogle = {
  group: ["googleapis/*", "google-auth-library*", "googleapis-common*", "gaxios*"],
  message: "Only mail/transports/gmailClient.ts may import Google's client: it is a bundle of its own.",
};
const coreDoor = { group: ["**/mail/*", "!**/mail/index"], message: "Import mail/index, the only door to the core." };
const noEntry = { group: ["**/extension", "**/worker", "**/cli"], message: "Nothing imports an entry point." };
const toolkit = {
  group: ["@vscode/webview-ui-toolkit*"],
  message: "Only webview/pages/controls.ts may import the toolkit.",
};

const restrict = (paths, patterns) => ({
  "no-restricted-imports": ["error", { paths: [noGoogleRoot, ...paths], patterns: [noGoogle, ...patterns] }],
});

export default tseslint.config(
  { ignores: ["dist/", "out/", ".vscode-test/", "node_modules/", "examples/"] },
  { files: ["**/*.ts"], extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked] },
  {
    files: ["**/*.ts"],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "no-console": "error",
      eqeqeq: "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      "@typescript-eslint/no-confusing-void-expression": [
        "error",
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      "@typescript-eslint/no-empty-function": "off",
      "@typescript-eslint/unified-signatures": "off",
      "@typescript-eslint/no-unnecessary-type-parameters": "off",
    },
  },
  { files: ["src/**/*.ts"], rules: restrict([], [coreDoor, noEntry, toolkit]) },
  {
    files: ["src/mail/**/*.ts"],
    rules: restrict([noVscode], [toolkit, { group: ["../../*"], message: "The core imports itself only." }]),
  },
  { files: ["src/worker.ts", "src/cli.ts", "src/rpc.ts"], rules: restrict([noVscode], [coreDoor, noEntry, toolkit]) },
  { files: ["src/webview/pages/**/*.ts"], rules: restrict([noVscode], [coreDoor, noEntry, toolkit]) },
  { files: ["src/webview/pages/controls.ts"], rules: restrict([noVscode], [coreDoor, noEntry]) },
  {
    files: ["src/mail/transports/gmailClient.ts"],
    rules: { "no-restricted-imports": ["error", { paths: [noGoogleRoot, noVscode] }] },
  },
  { files: ["test/**/*.ts", "bench/**/*.ts"], rules: restrict([], []) },
  { files: ["src/cli.ts", "test/**/*.ts", "bench/**/*.ts"], rules: { "no-console": "off" } },
  {
    files: ["test/**/*.ts"],
    rules: {
      // Chai-less asserts and mocha's it() return promises that mocha awaits.
      "@typescript-eslint/no-floating-promises": "off",
      "@typescript-eslint/no-non-null-assertion": "off",
    },
  },
);
