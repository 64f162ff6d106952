import { expect, test } from "vitest";
import { cannotRun, ortReason } from "../../../runtime/device/ort-errors.ts";

test.each([
  [
    "/onnxruntime_src/onnxruntime/core/graph/model.cc:202 onnxruntime::Model::Model(onnx::ModelProto&&, const onnxruntime::PathString&, const onnxruntime::ModelOptions&) Unsupported model IR version: 99, max supported IR version: 13\n",
    "Unsupported model IR version: 99, max supported IR version: 13",
  ],
  [
    "/onnxruntime_src/onnxruntime/core/graph/model_load_utils.h:46 void onnxruntime::model_load_utils::ValidateOpsetForDomain(const std::unordered_map<std::__cxx11::basic_string<char>, int>&, bool, const std::string&, int) ONNX Runtime only guarantees support for released opsets.",
    "ONNX Runtime only guarantees support for released opsets",
  ],
  [
    "External data path validation failed for initializer: w. Error: tensorprotoutils.cc:434 ValidateExternalDataPathFromDir Absolute path not allowed.",
    "External data path validation failed for initializer: w. Error: Absolute path not allowed",
  ],
  [
    "model.cc:284 onnxruntime::Model::Model(int) [ONNXRuntimeError] : 10 : INVALID_GRAPH : Functions must not be recursive.",
    "Functions must not be recursive",
  ],
  ["Got invalid dimensions for input: x", "Got invalid dimensions for input: x"],
])("the reason has no place in ONNX Runtime's sources: %s", (message, reason) => {
  expect(ortReason(new Error(message))).toBe(reason);
});

test("a device's advice is given, unless the device has no kernel for the type of an operator's inputs", () => {
  const device = { name: "cpu", advice: "reinstall onnxruntime-node" } as const;
  expect(cannotRun(device, new Error("Got invalid dimensions for input: x")).message).toBe(
    "The device cpu cannot run the model (Got invalid dimensions for input: x); reinstall onnxruntime-node.",
  );
  const missing = "Could not find an implementation for Gemm(13) node with name 'Gemm_0'";
  expect(cannotRun(device, new Error(missing))).toMatchObject({
    message: `The device cpu cannot run the model (${missing}); try another device, or convert the model to float32.`,
    code: "device-refused",
    details: { device: "cpu", reason: missing },
  });
});
