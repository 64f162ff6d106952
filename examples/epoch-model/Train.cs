// Trains a network with ONNX Runtime alone: several steps are one run of a plain model.
//
//     npx shake build-graph --data cifar10 --target standard --chunk --out artifacts
//     dotnet new console && dotnet add package Microsoft.ML.OnnxRuntime
//     dotnet run artifacts cifar-10-batches-bin/data_batch_1.bin

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

static class Train
{
    const int Batch = 100, StepsPerCall = 10, Epochs = 2, Pixels = 3 * 32 * 32;
    const float LearningRate = 0.05f;

    static int Main(string[] args)
    {
        if (args.Length != 2)
        {
            Console.Error.WriteLine("Train ARTIFACTS DATA_BATCH.bin");
            return 2;
        }
        // A record of the file is a label and the bytes of a picture.
        byte[] records = File.ReadAllBytes(args[1]);
        int count = records.Length / (1 + Pixels);
        var random = new Random(1);
        using var epoch = new InferenceSession(Path.Combine(args[0], "epoch_model.onnx"));
        Dictionary<string, DisposableNamedOnnxValue> state = InitialState(args[0]);
        for (int number = 1; number <= Epochs; number++)
        {
            int[] order = Enumerable.Range(0, count).OrderBy(_ => random.Next()).ToArray();
            var losses = new List<float>();
            for (int first = 0; first + Batch <= count; first += Batch * StepsPerCall)
            {
                int steps = Math.Min(StepsPerCall, (count - first) / Batch);
                int[] rows = order.Skip(first).Take(steps * Batch).ToArray();
                List<NamedOnnxValue> feeds = Pictures(records, rows, steps);
                // The mixing weights of Shake-Shake, drawn anew for every picture of every step.
                foreach (string name in new[] { "alpha", "beta" }.Where(epoch.InputMetadata.ContainsKey))
                {
                    int blocks = epoch.InputMetadata[name].Dimensions[1];
                    feeds.Add(Floats(name, () => (float)random.NextDouble(), steps, blocks, Batch));
                }
                feeds.Add(Floats("learning_rate", () => LearningRate, steps, 1));
                feeds.AddRange(state.Values.Select(value => NamedOnnxValue.CreateFromTensor(value.Name, value.AsTensor<float>())));
                foreach (DisposableNamedOnnxValue result in epoch.Run(feeds))
                {
                    if (result.Name == "loss") losses.AddRange(result.AsEnumerable<float>());
                    string next = result.Name.EndsWith("_next") ? result.Name.Substring(0, result.Name.Length - 5) : "";
                    if (!state.TryGetValue(next, out DisposableNamedOnnxValue old)) result.Dispose();
                    else
                    {
                        old.Dispose();
                        result.Name = next;
                        state[next] = result;
                    }
                }
            }
            Console.WriteLine($"epoch {number}: loss {losses.Average():F4}");
        }
        return 0;
    }

    /// <summary>The parameters, statistics and moments before the first step.</summary>
    static Dictionary<string, DisposableNamedOnnxValue> InitialState(string folder)
    {
        using var session = new InferenceSession(Path.Combine(folder, "initial_state.onnx"));
        return session.Run(new List<NamedOnnxValue>()).ToDictionary(value => value.Name);
    }

    static List<NamedOnnxValue> Pictures(byte[] records, int[] rows, int steps)
    {
        var images = new byte[rows.Length * Pixels];
        var labels = new long[rows.Length];
        for (int i = 0; i < rows.Length; i++)
        {
            int start = rows[i] * (1 + Pixels);
            labels[i] = records[start];
            Array.Copy(records, start + 1, images, i * Pixels, Pixels);
        }
        return new List<NamedOnnxValue>
        {
            NamedOnnxValue.CreateFromTensor("images", new DenseTensor<byte>(images, new[] { steps, Batch, 3, 32, 32 })),
            NamedOnnxValue.CreateFromTensor("labels", new DenseTensor<long>(labels, new[] { steps, Batch })),
        };
    }

    static NamedOnnxValue Floats(string name, Func<float> draw, params int[] shape)
    {
        float[] values = Enumerable.Range(0, shape.Aggregate(1, (a, b) => a * b)).Select(_ => draw()).ToArray();
        return NamedOnnxValue.CreateFromTensor(name, new DenseTensor<float>(values, shape));
    }
}
