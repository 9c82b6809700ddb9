"""The charger as Matter endpoints: clusters that see the box through one protocol, `charger.Charger`."""
