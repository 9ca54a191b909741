# An adapter for tools that expect a binding.gyp: the build itself is described by CMakeLists.txt.
{
  "targets": [
    {
      "target_name": "torchbed",
      "type": "none",
      "actions": [
        {
          "action_name": "cmake",
          "inputs": ["CMakeLists.txt"],
          "outputs": [
            "build/Release/torchbed.node",
            "build/Release/torchbed_bridge.so",
            "build/Release/torchbed_numerics.so"
          ],
          "action": ["node", "dist/lib/cli/main.js", "build"]
        }
      ]
    }
  ]
}
